"""Writes the small files that later releases are to load: ``python make.py written.json`` with each release.

They were written by torch 2.2.2, 2.6.0, 2.13.0 and 2.15.0 on the CPU. What they hold is in saving/archives.py.
"""

from __future__ import annotations

import base64
import collections
import io
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import torch


def values() -> dict[str, Any]:
    """Tensors of several dtypes, layouts and kinds; the second half of a storage, transposed."""
    base = torch.arange(12, dtype=torch.float32)
    return {
        "view": base[6:].view(2, 3).t(),
        "base": base,
        "half": torch.tensor([0.5, -65504.0], dtype=torch.float16),
        "brain": torch.tensor([1.5, -3.0e38], dtype=torch.bfloat16),
        "complex": torch.tensor([1 - 2j], dtype=torch.complex64).conj(),
        "bool": torch.tensor([[True], [False]]),
        "empty": torch.empty(0, 3, dtype=torch.int64),
        "parameter": torch.nn.Parameter(torch.tensor([2.5], dtype=torch.float64)),
        "sparse": torch.sparse_coo_tensor(torch.tensor([[0, 1], [2, 0]]), torch.tensor([3.0, -4.0]), (2, 3)).coalesce(),
        "plain": [1, None, "\u00e9", (2.5, False), collections.OrderedDict(b=1, a=2)],
    }


def state() -> dict[str, Any]:
    """A model and its optimizer after one step of known numbers."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25, momentum=0.5)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


def module() -> torch.nn.Module:
    """A whole module, which is saved by the names of its classes."""
    made = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU()).eval()
    with torch.no_grad():
        made[0].weight.copy_(torch.tensor([[2.0, -1.0]]))
        made[0].bias.fill_(0.5)
    return made


def packed(thing: Any, zipped: bool) -> str:
    """A file as compressed text."""
    file = io.BytesIO()
    torch.save(thing, file, _use_new_zipfile_serialization=zipped)
    return base64.b85encode(zlib.compress(file.getvalue(), 9)).decode()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    files = json.loads(place.read_text()) if place.exists() else {}
    files[torch.__version__.split("+")[0]] = {
        "values.zip": packed(values(), True),
        "values.old": packed(values(), False),
        "state.zip": packed(state(), True),
        "module.zip": packed(module(), True),
    }
    place.write_text(json.dumps(files, indent=1) + "\n")
