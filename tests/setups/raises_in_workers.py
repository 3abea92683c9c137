"""Cannot be imported in a worker."""

from __future__ import annotations

import multiprocessing

if multiprocessing.parent_process() is not None:
    raise RuntimeError("no such device in a worker")
