"""What stands around the steps of a training, in torch alone: reproduction scripts print these as they are."""

# mypy: ignore-errors

from __future__ import annotations

import copy
import pathlib
import subprocess
import sys
import tempfile

import torch

from conformance.models import LeNet
from conformance.trainings import start_from


def network(ps):
    """The model of these parameters, and SGD with momentum on it."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).to(ps[0])
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), ps):
            parameter.copy_(value)
    return model, torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)


def accumulated(x, y, ps, sizes):
    """Each step sums the gradients of several batches, weighted by their sizes."""
    model, optimizer = network(ps)
    for _ in range(3):
        optimizer.zero_grad()
        for inputs, wanted in zip(x.split(sizes), y.split(sizes)):
            loss = torch.nn.functional.mse_loss(model(inputs), wanted)
            (loss * (len(inputs) / len(x))).backward()
        optimizer.step()
    return [p.detach() for p in model.parameters()]


def clipped(x, y, ps, kind, most, foreach):
    model, optimizer = network(ps)
    norms = []
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        if kind == "value":
            torch.nn.utils.clip_grad_value_(model.parameters(), most, foreach=foreach)
        else:
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), most, norm_type=kind, foreach=foreach))
        optimizer.step()
    return [*(p.detach() for p in model.parameters()), *norms]


def scaled(x, y, ps, bad, most, interval, saved):
    """At the steps in `bad` the loss is infinite; before step `saved` the scaler is saved and loaded into another."""
    model, optimizer = network(ps)
    options = dict(init_scale=1024.0, growth_interval=interval)
    scaler = torch.amp.GradScaler(x.device.type, **options)
    scales = []
    for t in range(6):
        if t == saved:
            state = copy.deepcopy(scaler.state_dict())
            scaler = torch.amp.GradScaler(x.device.type, **{**options, "init_scale": 2.0})
            scaler.load_state_dict(state)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        scaler.scale(loss * float("inf") if t in bad else loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), most)
        scaler.step(optimizer)
        scaler.update()
        scales.append(torch.tensor(scaler.get_scale(), dtype=x.dtype, device=x.device))
    return [*(p.detach() for p in model.parameters()), *scales]


def autocast(x, y, ps):
    model, optimizer = network(ps)
    for _ in range(3):
        optimizer.zero_grad()
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            outputs = model(x)
            loss = torch.nn.functional.mse_loss(outputs, y.to(outputs.dtype))
        assert outputs.dtype == torch.bfloat16, f"a linear layer gives {outputs.dtype} under autocast"
        loss.backward()
        optimizer.step()
    return [p.detach() for p in model.parameters()]


def averaged(x, how, decay, use_buffers, saved):
    """Models whose weight is a row of x; before row `saved` the average is saved and loaded into another."""
    from torch.optim import swa_utils

    def make(model):
        chosen = {
            "swa": dict,
            "swa_multi": lambda: {"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()},
            "ema": lambda: {"avg_fn": swa_utils.get_ema_avg_fn(decay)},
            "ema_multi": lambda: {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(decay)},
            "ema_own": lambda: {"avg_fn": lambda averaged, now, count: decay * averaged + (1 - decay) * now},
        }
        return swa_utils.AveragedModel(model, use_buffers=use_buffers, **chosen[how]())

    def module(row):
        model = torch.nn.Module()
        model.weight = torch.nn.Parameter(row.clone())
        model.register_buffer("held", 2 * row)
        return model

    average, found = make(module(x[0] + 1)), []
    for n, row in enumerate(x):
        if n == saved:
            state = copy.deepcopy(average.state_dict())
            average = make(module(x[0] - 1))
            average.load_state_dict(state)
        average.update_parameters(module(row))
        found += [average.module.weight.detach().clone(), average.module.held.clone()]
    return [*found, average.n_averaged.to(x.dtype)]


def normalized(x, ps, sizes):
    """update_bn over batches, alone or with labels; momentum and mode are as before."""
    outside, inside = ps[0].shape
    model = torch.nn.Sequential(torch.nn.Linear(inside, outside), torch.nn.BatchNorm1d(outside, momentum=0.3)).to(x)
    with torch.no_grad():
        model[0].weight.copy_(ps[0])
        model[0].bias.copy_(ps[1])
        model[1].running_mean.fill_(7.0)
    model.eval()
    batches = [(part, None) if n % 2 else part for n, part in enumerate(x.split(sizes))]
    torch.optim.swa_utils.update_bn(batches, model)
    assert model[1].momentum == 0.3 and not model.training, "update_bn changed momentum or mode"
    assert model[1].num_batches_tracked == len(sizes), "update_bn lost count of the batches"
    return [model[1].running_mean, model[1].running_var]


def onnx_outputs(x, ps):
    """LeNet-5, exported and evaluated by the reference evaluator of the onnx package."""
    import inspect
    import io

    import onnx
    from onnx.reference import ReferenceEvaluator

    model = start_from(LeNet(), ps).eval()
    file = io.BytesIO()
    exporter = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(model, (x,), file, input_names=["x"], **exporter)
    (outputs,) = ReferenceEvaluator(onnx.load_from_string(file.getvalue())).run(None, {"x": x.numpy()})
    return [torch.from_numpy(outputs)]


def data_parallel(x, y, ps):
    """The gradients over all devices of this kind, by the module and by the function."""
    found = []
    for spread in (torch.nn.DataParallel, None):
        model, _ = network(ps)
        outputs = spread(model)(x) if spread else torch.nn.parallel.data_parallel(model, x)
        torch.nn.functional.mse_loss(outputs, y).backward()
        found += [p.grad for p in model.parameters()]
    return found


PROCESS = """
import sys, torch
import torch.distributed as dist
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
x, y, ps = torch.load(folder + "/data")
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
half = slice(0, len(x) // 2) if rank == 0 else slice(len(x) // 2, None)

def network():
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).to(x.dtype)
    model.register_buffer("held", x[rank].clone())
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), ps):
            parameter.copy_(value + rank)  # those of the first process are taken
    return torch.nn.parallel.DistributedDataParallel(model)

def backward(model):
    torch.nn.functional.mse_loss(model(x[half]), y[half]).backward()

model = network()
with torch.no_grad():
    model.module.held.copy_(x[rank])
backward(model)
found = {"gradients": [p.grad for p in model.parameters()], "buffers": [model.module.held]}
model = network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
with model.join():
    for _ in range(3 if rank == 0 else 1):
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
found["join"] = [p.detach() for p in model.parameters()] if rank == 0 else []
torch.save(found, f"{folder}/found{rank}")
dist.destroy_process_group()
"""


def distributed(x, y, ps):
    """Two processes on this machine, each with half of the samples: what they found, by part."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save((x, y, ps), f"{folder}/data")
        program = pathlib.Path(folder) / "process.py"
        program.write_text(PROCESS)
        command = [sys.executable, str(program)]
        running = [subprocess.Popen([*command, str(rank), folder], stderr=subprocess.PIPE) for rank in (0, 1)]
        try:
            errors = [process.communicate(timeout=50)[1] for process in running]
        finally:
            for process in running:
                process.kill()
        for process, error in zip(running, errors):
            if process.returncode:
                raise RuntimeError(error.decode()[-1000:])
        found = [torch.load(f"{folder}/found{rank}") for rank in (0, 1)]
    return {part: [t for shown in found for t in shown[part]] for part in found[0]}
