"""Files that other releases have written. `conformance/behaviours/archives/make.py` made them."""

from __future__ import annotations

import base64
import collections
import io
import json
import zlib
from pathlib import Path

import torch

from conformance.behaviours.promise import promise
from conformance.behaviours.say import same
from conformance.checks.check import Unsupported

WRITTEN = json.loads((Path(__file__).parents[1] / "archives" / "written.json").read_text(encoding="utf-8"))
LOAD = "notes/serialization.html#serialized-file-format-for-torch-save"


def opened(packed: str) -> io.BytesIO:
    """The file that a release has written."""
    return io.BytesIO(zlib.decompress(base64.b85decode(packed)))


def holds_values(file: io.BytesIO) -> None:
    """The dict of `values` in make.py, with its numbers, layouts, views and kinds."""
    got = torch.load(file, weights_only=True)
    names = ["view", "base", "half", "brain", "complex", "bool", "empty", "parameter", "sparse", "plain"]
    same(list(got), names)
    same(got["view"].tolist(), [[6.0, 9.0], [7.0, 10.0], [8.0, 11.0]])
    same(
        (got["view"].stride(), got["view"].storage_offset(), got["base"].tolist()),
        ((1, 3), 6, [float(i) for i in range(12)]),
    )
    got["base"][6] = 60.0
    same(got["view"][0, 0].item(), 60.0)
    same(got["half"], torch.tensor([0.5, -65504.0], dtype=torch.float16))
    same(got["brain"], torch.tensor([1.5, -3.0e38], dtype=torch.bfloat16))
    same(got["complex"], torch.tensor([1 + 2j], dtype=torch.complex64))
    same(
        (got["bool"].tolist(), got["empty"].shape, got["empty"].dtype),
        ([[True], [False]], torch.Size([0, 3]), torch.int64),
    )
    same(
        (type(got["parameter"]), got["parameter"].tolist(), got["parameter"].dtype),
        (torch.nn.Parameter, [2.5], torch.float64),
    )
    same((got["parameter"].requires_grad, got["sparse"].is_coalesced()), (True, True))
    same(got["sparse"].to_dense().tolist(), [[0.0, 0.0, 3.0], [-4.0, 0.0, 0.0]])
    same(got["plain"], [1, None, "\u00e9", (2.5, False), collections.OrderedDict(b=1, a=2)])


def holds_state(file: io.BytesIO) -> None:
    """A model of 0.5 after one step of SGD with gradients of one: 0.25, and momentum one."""
    got = torch.load(file, weights_only=True)
    model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model.load_state_dict(got["model"])
    optimizer.load_state_dict(got["optimizer"])
    same([p.flatten().tolist() for p in model.parameters()], [[0.25, 0.25], [0.25], [0.25], [0.25]])
    same((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]), (0.25, 0.5))
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()  # velocity 0.5 * 1 + 1
    same([p.flatten().tolist() for p in model.parameters()], [[-0.125, -0.125], [-0.125], [-0.125], [-0.125]])


def holds_module(file: io.BytesIO) -> None:
    """relu(2 a - b + 0.5) in eval mode."""
    got = torch.load(file, weights_only=False)
    same((type(got), got.training), (torch.nn.Sequential, False))
    same(got(torch.tensor([[1.0, 2.0], [0.0, 4.0]])).tolist(), [[0.5], [0.0]])


def reads(release: str, files: dict[str, str]) -> None:
    """Everything in the files of a release; what a later one has written is not promised."""
    mine = torch.__version__.split("+")[0].split(".")[:2]
    if [int(n) for n in mine] < [int(n) for n in release.split(".")[:2]]:
        raise Unsupported(f"nothing promises that {torch.__version__} reads what {release} has written")
    holds_values(opened(files["values.zip"]))
    holds_values(opened(files["values.old"]))
    holds_state(opened(files["state.zip"]))
    holds_module(opened(files["module.zip"]))


@promise("serialization", "load", link=LOAD, given={"files": WRITTEN["2.2.2"]})
def files_of_2_2_are_read(device: torch.device, dtype: torch.dtype, files: dict[str, str]) -> None:
    """What torch 2.2.2 has saved is loaded equal: values, model and optimizer state, a whole module."""
    reads("2.2.2", files)


@promise("serialization", "load", link=LOAD, given={"files": WRITTEN["2.6.0"]})
def files_of_2_6_are_read(device: torch.device, dtype: torch.dtype, files: dict[str, str]) -> None:
    """What torch 2.6.0 has saved is loaded equal: values, model and optimizer state, a whole module."""
    reads("2.6.0", files)


@promise("serialization", "load", link=LOAD, given={"files": WRITTEN["2.13.0"]})
def files_of_2_13_are_read(device: torch.device, dtype: torch.dtype, files: dict[str, str]) -> None:
    """What torch 2.13.0 has saved is loaded equal: values, model and optimizer state, a whole module."""
    reads("2.13.0", files)


@promise("serialization", "load", link=LOAD, given={"files": WRITTEN["2.15.0"]})
def files_of_2_15_are_read(device: torch.device, dtype: torch.dtype, files: dict[str, str]) -> None:
    """What torch 2.15.0 has saved is loaded equal: values, model and optimizer state, a whole module."""
    reads("2.15.0", files)
