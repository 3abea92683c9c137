"""A missing synchronisation, planted, is caught by the 103% rule; the same device without the fault passes.

    python docs/scripts/bench_missing_sync.py

The device is simulated (async_device.py): a queue and a thread. Exits with 1 where the fault is not seen, or seen where
it is not. The latency without the wait is what pytest-benchmark and asv print of such a call, without a word.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.bench import measure

SETUP = Path(__file__).with_name("async_device.py")
ITEM = "mm[256]::forward::float32"


def bench(missing: bool, out: Path) -> tuple[int, dict]:
    """Exit code and the figure of a bench run on the simulated device."""
    words = ["bench", "--setup", str(SETUP), "--device", "async:0", "--select", ITEM]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *words, "--processes", "2", "--out", str(out)],
        env={**os.environ, "MISSING_SYNC": "1" if missing else ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    figures = next((line for line in measure.lines(out) if line["event"] == "figures"), None)
    assert figures is not None, done.stderr
    return done.returncode, figures["results"][0]


def main() -> int:
    right = True
    with tempfile.TemporaryDirectory() as folder:
        for missing in (False, True):
            code, row = bench(missing, Path(folder) / str(missing))
            print(f"{'without' if missing else 'with'} the wait: {ITEM} {row['columns']['latency'] * 1e6:,.0f} us")
            verdict = row["impossible"] or "accepted"
            print(f"  pipelined: {row['share']:.0%} of the measured limit; exit code {code}: {verdict}")
            right = right and bool(row["impossible"]) == missing and code == int(missing)
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
