"""One fresh process: it measures some items at one place, each once, and ends.

    python -m conformance.bench.worker < request.json

The request names the place ("cpu/1", "cuda:0"), the items in the order in which to measure them, and a folder for the
answers. One line of JSON for each thing that is known, with a mark before it, since a torch under test may print too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conformance.bench.worker_mark import MARK


def main() -> None:
    request = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr  # what others print is not the answer

    def tell(kind: str, **fields: Any) -> None:
        out.write(MARK + json.dumps({"kind": kind, **fields}, default=str) + "\n")
        out.flush()

    warnings.simplefilter("ignore")
    try:
        _work(request, tell)
    except BaseException as error:
        tell("broken", reason=f"{type(error).__name__}: {error}"[:400])
        raise SystemExit(1) from error


def _work(request: dict[str, Any], tell: Any) -> None:
    from conformance import target

    target.load_setup(request["setup"])
    import torch

    from conformance.bench import ceilings, devices
    from conformance.bench.parity import item_from

    if "probe" in request:
        kinds = [f"{kind}:0" for kind in devices.MAKERS]
        tell("machine", devices=[*target.devices(), *kinds], threads=torch.get_num_threads(), absent=devices.absent(),
             environment=target.environment(request["setup"]))  # fmt: skip
        return
    name, _, threads = request["place"].partition("/")
    count = int(threads or 0) or torch.get_num_threads()
    pinned = devices.pin(count, tf32=False)
    device = devices.device(name)
    where = "cpu" if name.partition(":")[0] in devices.MAKERS else name
    tell("process", settings=pinned, fingerprint=fingerprint(where, name, pinned), state=device.state())
    if request["ceilings"]:
        for tf32 in (False, True):
            dtypes = [(d, torch_dtype(d)) for d in request["ceilings"] if (d == "tf32") == tf32]
            if dtypes and not (tf32 and devices.tf32(name)):
                devices.pin(count, tf32)
                tell("ceilings", **ceilings.sweep(where, dtypes, request["most_bytes"]))
    for id in request["items"]:
        item = item_from(id)
        why = devices.tf32(name) if item.dtype == "tf32" else ""
        if why:
            tell("unmeasured", item=id, reason=why)
            continue
        devices.pin(count, item.dtype == "tf32")
        try:
            found = _measure(item, where, device, request)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            if devices.lacks(error):
                tell("unmeasured", item=id, reason=reason)
            else:
                tell("died", item=id, reason=f"{id} raised {reason}")
        else:
            tell("block", item=id, state=device.state(), **found)


def torch_dtype(name: str) -> Any:
    """torch's dtype for the dtype of an item."""
    import torch

    return getattr(torch, "float32" if name == "tf32" else name)


def fingerprint(where: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """See conformance.bench.fingerprint. The precision of TF32 belongs to each item, and to its name."""
    import torch

    from conformance.bench import devices
    from conformance.target import cpu_name

    cuda = where.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(where) if cuda else name,
        "driver": devices.nvidia_state(where).get("driver", "none") if cuda else "none",
        "cuda": torch.version.cuda or "none",
        "cudnn": torch.backends.cudnn.version() if cuda else "none",
        "torch": f"{torch.__version__} {getattr(torch.version, 'git_version', '')}".strip(),
        "tf32": settings["cudnn.allow_tf32"],
        "threads": settings["threads"],
        "cpu": f"{cpu_name()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        "container": _container(),
        "python": platform.python_version(),
        "settings": {k: v for k, v in settings.items() if k != "threads"},
    }


def _container() -> str:
    """What the user calls it, or the kind and the distribution: an image has no name of its own inside."""
    named = os.environ.get("TORCH_CONFORMANCE_CONTAINER")
    if named:
        return named
    kind = "docker" if Path("/.dockerenv").exists() else os.environ.get("container", "none")  # noqa: SIM112  (podman and systemd spell it so)
    try:
        return f"{kind}, {platform.freedesktop_os_release()['PRETTY_NAME']}"
    except (OSError, KeyError):
        return f"{kind}, {platform.platform()}"


@dataclasses.dataclass
class Prepared:
    """An item that is ready to be timed: its answers are in a file, and its work is counted."""

    call: Callable[[], Any]
    transfer: Callable[[], Any] | None
    answer: str
    flops: int
    bytes: int


def prepared(item: Any, where: str, device: Any, answers: str, seed: int) -> Prepared:
    """Make an item on a device. Raises what torch raises; `devices.lacks` tells a missing kernel from a broken one."""
    import torch

    from conformance.bench import bodies, parity, work
    from conformance.bench.workloads import WORKLOADS

    workload = WORKLOADS[item.workload]
    arrays = workload.arrays(item.size, seed)
    dtype = torch_dtype(item.dtype)
    host = [torch.from_numpy(a) for a in arrays]
    host = [t.to(dtype) if t.is_floating_point() else t for t in host]
    body = bodies.BODIES[item.workload]([t.to(where) for t in host])
    kept = parity.rows(workload, arrays[workload.rows[0]].shape[0], seed) if workload.rows else None
    with torch.no_grad():
        shape = tuple(body.call().shape)
    training = item.mode == "training"
    g, masked = (
        torch.from_numpy(parity.cotangent(shape, rows, seed)).to(where, dtype) if training else None
        for rows in (None, kept)
    )
    answer = _answer(bodies.answer(body, item.mode, masked), body, kept, workload.rows, device, answers)
    body.begin()
    call = bodies.runner(body, item.mode, g)
    transfer = None if where == "cpu" else _with_transfer(call, body.leaves, host, where)
    moved = workload.moved(arrays, [np.empty(shape, np.float32)], item.size, training)
    return Prepared(call, transfer, answer, work.flops(item, arrays), work.itemsize(item.dtype) * moved)


def _with_transfer(call: Callable[[], Any], leaves: Any, host: Any, where: str) -> Callable[[], Any]:
    """The call with its inputs copied to the device first, and its result back."""
    if where.startswith("cuda"):
        host = [t.pin_memory() for t in host]

    def transfer() -> None:
        for t, h in zip(leaves, host):
            t.data.copy_(h, non_blocking=True)
        out = call()
        (out[0] if isinstance(out, tuple) else out).cpu()

    return transfer


def _measure(item: Any, where: str, device: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The block of an item: its answers, its work, and every column."""
    from conformance.bench import timing

    made = prepared(item, where, device, request["answers"], request["seed"])
    began = time.perf_counter()
    columns = timing.measure(made.call, device, request["seconds"], made.transfer, wanted=request["columns"])
    took = time.perf_counter() - began
    return {**columns, "answer": made.answer, "flops": made.flops, "bytes": made.bytes, "took": took}


def _answer(found: Any, body: Any, kept: Any, batched: tuple[int, ...], device: Any, folder: str) -> str:
    """Write the answers' kept rows to a file that is called after all their bytes; returns its name."""
    import torch

    out, gradients = found
    device.synchronize()
    places = [i for i, t in enumerate(body.leaves) if t.is_floating_point()]
    parts = [(out, kept), *((d, kept if i in batched else None) for i, d in zip(places, gradients))]
    whole = [t.detach().to("cpu", torch.float32).contiguous().numpy() for t, _ in parts]
    digest = hashlib.sha256()
    for a in whole:
        digest.update(a.tobytes())
    path = Path(folder) / f"{digest.hexdigest()[:32]}.npz"
    if not path.exists():
        beside = path.with_suffix(f".{os.getpid()}")
        with open(beside, "wb") as file:
            np.savez(file, **{f"got{i}": a if rows is None else a[rows]  # type: ignore[arg-type]
                              for i, (a, (_, rows)) in enumerate(zip(whole, parts))})  # fmt: skip
        beside.rename(path)
    return path.name


if __name__ == "__main__":
    main()
