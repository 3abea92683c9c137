"""The way through a file, as promises about saving take it."""

from __future__ import annotations

import io
from typing import Any

import torch


def written(thing: Any, zipped: bool = True) -> io.BytesIO:
    """The file that torch.save makes of a thing, in the zip format or the one before it, at its beginning."""
    file = io.BytesIO()
    torch.save(thing, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    return file


def through(thing: Any, zipped: bool = True, **options: Any) -> Any:
    """What torch.load makes of what torch.save wrote."""
    return torch.load(written(thing, zipped), **{"weights_only": True, **options})
