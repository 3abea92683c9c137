"""The entry of the command. Little is imported before Ctrl-C has an answer."""

import sys


def main() -> int:
    """Run the command; returns its exit code."""
    try:
        from conformance import cli

        return cli.main()
    except KeyboardInterrupt:
        print("torch-conformance: interrupted", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
