"""A behaviour is a promise of torch's documentation and a small function that finds out whether torch keeps it.

The function uses torch and NumPy alone, with the answer beside the call, so that it is its own reproduction script.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conformance.bridge import resolve

DOCUMENTATION = "https://docs.pytorch.org/docs/stable/"


@dataclasses.dataclass(frozen=True)
class Promise:
    """One promise about one facility of torch.

    family   the file of facilities that it belongs to: "hooks"
    path     the facility, torch's public path without `torch.`: "Tensor.register_hook"
    run      (device, dtype), or (device, dtype, seed) where inputs are random, and `given`; raises AssertionError
             where the promise is broken; its docstring is the promise
    link     the page that promises it, below DOCUMENTATION
    levels   the lowest level at which it runs, for each dtype
    modes    the execution modes in which it runs
    needs    torch paths besides `path` without which it cannot be asked
    given    further arguments of `run`
    covers   further torch paths that it answers for in `list --coverage`
    searches it looks for a counterexample among random programs, beside the reference's model: what it raises has a
             `script` of its own
    """

    family: str
    path: str
    run: Callable[..., None]
    link: str
    levels: Mapping[str, int]
    modes: tuple[str, ...] = ("eager",)
    needs: tuple[str, ...] = ()
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    covers: tuple[str, ...] = ()
    searches: bool = False

    @property
    def subject(self) -> str:
        return self.path if self.path.startswith(f"{self.family}.") else f"{self.family}.{self.path}"

    @property
    def check(self) -> str:
        return self.run.__name__

    @property
    def text(self) -> str:
        """What is promised, in one sentence."""
        return " ".join((self.run.__doc__ or "").split())

    @property
    def random(self) -> bool:
        """Whether it is asked with one seed after another."""
        return "seed" in inspect.signature(self.run).parameters

    def missing(self) -> str | None:
        """The path that this torch does not have."""
        return next((p for p in (self.path, *self.needs) if resolve(p) is None), None)


PROMISES: dict[tuple[str, str], Promise] = {}  # by subject and check


def promise(
    family: str, *paths: str, link: str = "", levels: Mapping[str, int] | None = None, **options: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the decorated function as a promise of each of these facilities. See Promise for the options.

    Without `link` it is the page of the facility itself.
    """

    def register(run: Callable[..., None]) -> Callable[..., None]:
        for path in paths:
            page = DOCUMENTATION + (link or f"generated/torch.{path}.html")
            made = Promise(family, path, run, page, levels or {"float32": 2}, **options)
            assert (made.subject, made.check) not in PROMISES, f"two promises {made.subject}::{made.check}"
            PROMISES[made.subject, made.check] = made
        return run

    return register


def promises_of(subject: str) -> Sequence[Promise]:
    """The promises of one facility, in order of registration."""
    return [p for (owner, _), p in PROMISES.items() if owner == subject]
