"""Modules, optimizers and random states through a file."""

from __future__ import annotations

from typing import Any

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.saving.through import through
from conformance.behaviours.say import documented, raises, same

MODULES = "notes/serialization.html#saving-and-loading-torch-nn-modules"
LOAD_STATE = "generated/torch.nn.Module.html#torch.nn.Module.load_state_dict"


def net(device: torch.device, dtype: torch.dtype) -> torch.nn.Sequential:
    """Two layers with parameters, buffers and a counter, in known numbers."""
    made = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).to(device, dtype)
    with torch.no_grad():
        for i, p in enumerate(made.parameters()):
            p.copy_(torch.arange(p.numel()).view(p.shape) * 0.5 - i)
    made[1].num_batches_tracked.fill_(7)
    return made


@promise("serialization", "nn.Module.state_dict", "nn.Module.load_state_dict", link=MODULES, levels={"float32": 1})
def a_state_dict_restores_a_module(device: torch.device, dtype: torch.dtype) -> None:
    """Save the state_dict, load it into a new module: parameters and persistent buffers are equal, bit for bit."""
    old = net(device, dtype)
    for zipped in (True, False):
        state = through(old.state_dict(), zipped)
        names = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"]
        same(list(state), names)
        new = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).to(device, dtype)
        memory = new[0].weight.data_ptr()
        same(str(new.load_state_dict(state)), "<All keys matched successfully>")
        same({k: v.detach() for k, v in new.state_dict().items()}, dict(old.state_dict()))
        same((new[0].weight.data_ptr(), new[0].weight.requires_grad), (memory, True))
        state["0.weight"].zero_()
        same(new[0].weight.detach(), old[0].weight.detach())


@promise("serialization", "nn.Module", link=MODULES)
def a_whole_module_comes_back(device: torch.device, dtype: torch.dtype) -> None:
    """A module itself is saved by pickle: parameters, buffers, options and train or eval mode come back."""
    old = net(device, dtype)
    old[1].eval()
    old[0].bias.requires_grad_(False)
    for zipped in (True, False):
        new = through(old, zipped, weights_only=False)
        same((type(new), new.training, new[1].training), (torch.nn.Sequential, True, False))
        same((new[1].eps, new[0].bias.requires_grad, new[0].weight.requires_grad), (1e-05, False, True))
        same(dict(new.state_dict()), dict(old.state_dict()))
        same(new(torch.ones(2, 3, dtype=dtype, device=device)), old(torch.ones(2, 3, dtype=dtype, device=device)))


class Scaled(torch.nn.Module):
    """A buffer that is saved, one that is not, and a state of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.tensor([1.0]))
        self.register_buffer("cache", torch.tensor([2.0]), persistent=False)
        self.extra: Any = None

    def get_extra_state(self) -> Any:
        return {"extra": self.extra}

    def set_extra_state(self, state: Any) -> None:
        self.extra = state["extra"]


@promise(
    "serialization", "nn.Module.register_buffer", link="generated/torch.nn.Module.html#torch.nn.Module.register_buffer"
)
def buffers_that_do_not_persist_are_not_saved(device: torch.device, dtype: torch.dtype) -> None:
    """A buffer with persistent=False is not part of the state_dict, and loading leaves it alone."""
    old, new = Scaled(), Scaled()
    old.kept.fill_(5.0)
    old.cache.fill_(6.0)
    state = through(old.state_dict())
    same([k for k in state if "extra" not in k], ["kept"])
    new.load_state_dict(state)
    same((new.kept.item(), new.cache.item()), (5.0, 2.0))


@promise(
    "serialization", "nn.Module.get_extra_state", link="generated/torch.nn.Module.html#torch.nn.Module.get_extra_state"
)
def extra_state_is_saved_and_set(device: torch.device, dtype: torch.dtype) -> None:
    """What get_extra_state returns is saved with the state_dict and given to set_extra_state; it counts as a key."""
    old, new = torch.nn.Sequential(Scaled()), torch.nn.Sequential(Scaled())
    old[0].extra = [1, {"t": torch.tensor([3.0])}]
    state = through(old.state_dict())
    same(state["0._extra_state"], {"extra": [1, {"t": torch.tensor([3.0])}]})
    new.load_state_dict(state)
    same(new[0].extra, [1, {"t": torch.tensor([3.0])}])
    del state["0._extra_state"]
    raises(RuntimeError, lambda: new.load_state_dict(state), "Missing key", "_extra_state")


class Renamed(torch.nn.Module):
    """Its second version calls `weight` what was `w`."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.seen: list[Any] = []

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *args: Any) -> None:
        self.seen.append(metadata.get("version"))
        if metadata.get("version", 1) < 2:
            state[prefix + "weight"] = state.pop(prefix + "w")
        super()._load_from_state_dict(state, prefix, metadata, *args)


@promise("serialization", "nn.Module.load_state_dict", link="generated/torch.nn.Module.html")
def versions_travel_with_the_state(device: torch.device, dtype: torch.dtype) -> None:
    """The version of each module is in the state_dict's metadata, so that it can read what an older one saved."""
    new = torch.nn.Sequential(Renamed())
    state = through(torch.nn.Sequential(Renamed()).state_dict())
    same(dict(state._metadata), {"": {"version": 1}, "0": {"version": 2}})
    new.load_state_dict(state)
    same(str(new.load_state_dict({"0.w": torch.tensor([1.0, 2.0])})), "<All keys matched successfully>")
    state._metadata["0"]["version"] = 1
    state["0.w"] = state.pop("0.weight") + 5
    new.load_state_dict(state)
    same((new[0].weight.detach(), new[0].seen), (torch.tensor([5.0, 5.0]), [2, None, 1]))


@promise(
    "serialization",
    "nn.BatchNorm1d",
    "nn.BatchNorm2d",
    "nn.BatchNorm3d",
    "nn.SyncBatchNorm",
    link="generated/torch.nn.BatchNorm2d.html",
)
def states_before_the_counter_still_load(device: torch.device, dtype: torch.dtype) -> None:
    """A state_dict that has no version is from before num_batches_tracked: loading does not miss it."""
    for kind in (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d, torch.nn.SyncBatchNorm):
        layer = kind(2).to(device)
        old = {k: v + 1 for k, v in layer.state_dict().items() if k != "num_batches_tracked"}
        same(str(layer.load_state_dict(old)), "<All keys matched successfully>")
        same((layer.running_mean.tolist(), layer.num_batches_tracked.item()), ([1.0, 1.0], 0))


@promise("serialization", "nn.Module.load_state_dict", link=LOAD_STATE, levels={"float32": 2, "float64": 3})
def assigned_tensors_keep_their_properties(device: torch.device, dtype: torch.dtype) -> None:
    """assign=True keeps properties of the tensors in the state dict, memory and dtype; False those of the module."""
    for assign in (True, False):
        module = torch.nn.Linear(2, 2).to(device, dtype)
        state = through({"weight": torch.ones(2, 2).double(), "bias": torch.tensor([1.0, -1.0]).double()})
        module.load_state_dict(state, assign=assign)
        same(
            (module.weight.dtype, module.weight.device.type), (torch.float64, "cpu") if assign else (dtype, device.type)
        )
        same(type(module.weight), torch.nn.Parameter)
        state["bias"].zero_()
        same(module.bias.tolist(), [0.0, 0.0] if assign else [1.0, -1.0])


@promise("serialization", "nn.Module.load_state_dict", link=LOAD_STATE)
def assigning_keeps_requires_grad_of_the_module(device: torch.device, dtype: torch.dtype) -> None:
    """The exception of assign=True is requires_grad of a parameter, which stays the module's."""
    documented(torch.nn.Module.load_state_dict, "requires_grad")
    module = torch.nn.Linear(2, 2).to(device)
    module.weight.requires_grad_(False)
    module.load_state_dict(through(torch.nn.Linear(2, 2).state_dict()), assign=True)
    same((module.weight.requires_grad, module.bias.requires_grad), (False, True))


@promise("serialization", "nn.Module.load_state_dict", link=LOAD_STATE, needs=("device",))
def a_meta_module_gets_its_memory_by_assigning(device: torch.device, dtype: torch.dtype) -> None:
    """A module on the meta device takes its tensors from the file by assign=True, without a copy."""
    state = through(net(device, dtype).state_dict())
    with torch.device("meta"):
        empty = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    empty.load_state_dict(state, assign=True)
    same(dict(empty.state_dict()), dict(state))
    same(empty[0].weight.data_ptr(), state["0.weight"].data_ptr())


@promise("serialization", "nn.Module.load_state_dict", link=LOAD_STATE)
def a_state_that_does_not_fit_is_refused_by_name(device: torch.device, dtype: torch.dtype) -> None:
    """Missing and unexpected keys and other shapes raise with their names; strict=False returns the keys instead."""
    module = torch.nn.Linear(3, 2)
    bad = {"weight": torch.ones(2, 4), "b": torch.ones(2)}
    words = ("size mismatch for weight", "Missing key", '"bias"', "Unexpected key", '"b"')
    raises(RuntimeError, lambda: module.load_state_dict(through(bad)), *words)
    got = module.load_state_dict(through({"weight": torch.ones(2, 3), "b": torch.ones(2)}), strict=False)
    same((got.missing_keys, got.unexpected_keys), (["bias"], ["b"]))
    same(module.weight.tolist(), [[1.0] * 3] * 2)
    raises(RuntimeError, lambda: module.load_state_dict(through(bad), strict=False), "size mismatch for weight")


@promise(
    "serialization",
    "optim.Optimizer.state_dict",
    "optim.Optimizer.load_state_dict",
    levels={"float32": 2, "float64": 3},
)
def training_goes_on_as_if_it_had_not_stopped(device: torch.device, dtype: torch.dtype) -> None:
    """Parameters and optimizer state through a file, into new objects: the next steps are the same, bit for bit."""

    def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer, numbers: range) -> list[float]:
        losses = []
        for i in numbers:
            x = torch.arange(6.0, device=device).to(dtype).view(2, 3) * (i - 2.5)
            optimizer.zero_grad()
            loss = (torch.sigmoid(model(x)) - 0.25 * i).square().sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    def fresh() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        model = net(device, dtype)[0]
        return model, torch.optim.Adam([{"params": [model.weight], "lr": 0.5}, {"params": [model.bias]}], lr=0.25)

    model, optimizer = fresh()
    steps(model, optimizer, range(3))
    saved = through({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    want = steps(model, optimizer, range(3, 6))
    resumed, other = fresh()
    resumed.load_state_dict(saved["model"])
    other.load_state_dict(saved["optimizer"])
    same([g["lr"] for g in other.param_groups], [0.5, 0.25])
    same(steps(resumed, other, range(3, 6)), want)


@promise("serialization", "get_rng_state", "set_rng_state", "Generator", link="generated/torch.Generator.html")
def random_states_continue(device: torch.device, dtype: torch.dtype) -> None:
    """The state of a generator goes through a file, and the numbers after it are the same."""
    generator = torch.Generator(device).manual_seed(5)
    torch.rand(3, generator=generator, device=device)
    saved = through({"own": generator.get_state(), "cpu": torch.get_rng_state()})
    want = [torch.randn(5, generator=generator, device=device), torch.rand(3)]
    again = torch.Generator(device)
    again.set_state(saved["own"].cpu())
    torch.set_rng_state(saved["cpu"].cpu())
    same([torch.randn(5, generator=again, device=device), torch.rand(3)], want)
