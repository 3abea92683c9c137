"""The entry of the command. Ctrl-C has an answer before anything is imported: an import may swallow it."""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command; returns its exit code."""
    signal.signal(signal.SIGINT, _leave)
    from conformance import cli

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


def _leave(number: int, frame: FrameType | None) -> None:
    print("torch-conformance: interrupted", file=sys.stderr, flush=True)
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
