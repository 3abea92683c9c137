"""Processes that must not outlive the run that started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

EVERY = 1.0  # seconds between two looks, where the kernel cannot be asked


def die_with(parent: int) -> None:
    """End this process when `parent` ends, however it ends: by the kernel on Linux, by watching everywhere."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def watch() -> None:
        # the kernel's promise came too late if the parent died before it was asked
        while os.getppid() == parent:
            time.sleep(EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
