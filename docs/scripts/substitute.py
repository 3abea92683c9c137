"""A mutant in the place of the genuine module, in a process that has imported the reference already.

Most mutants change the code of one function: it is exchanged where the function lives, which takes milliseconds.
Where a module's own statements change, the reference is imported anew.
"""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import sys
from pathlib import Path
from types import CodeType, FunctionType

ROOT = Path(__file__).resolve().parents[2]
Exchange = list[tuple[FunctionType, CodeType]]
PARTS = (
    *("reference", "reference.nn", "reference.optim", "reference.schedules", "reference.programs.trainings"),
    *("tests.reference.test_proofs", "tests.reference.test_layers"),
    *("tests.reference.test_numpy_twins", "tests.reference.test_layer_values"),
    *("mpmath", "scipy.linalg", "scipy.signal", "scipy.stats"),  # what test files import
)


def load() -> None:
    for part in PARTS:
        importlib.import_module(part)


def exchange(path: str, source: str) -> Exchange | None:
    """What makes the functions of `path` those of this source; None where its own statements change."""
    place = str(ROOT / path)
    genuine = compile(Path(place).read_text(), place, "exec", dont_inherit=True)
    changed = _changes(genuine, compile(source, place, "exec", dont_inherit=True))
    functions = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__code__.co_filename == place]
    if changed is None or not {a for a in genuine.co_consts if a in changed} <= {f.__code__ for f in functions}:
        return None
    return [(f, changed[f.__code__]) for f in functions if f.__code__ in changed]


def import_anew(path: str, source: str) -> None:
    """The reference again, and what imports it, as if `path` held this source."""
    place, genuine = str(ROOT / path), importlib.machinery.SourceFileLoader.get_code

    def get_code(self, fullname):  # type: ignore[no-untyped-def]
        return compile(source, place, "exec") if self.path == place else genuine(self, fullname)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    for name in [n for n in sys.modules if n.partition(".")[0] in ("reference", "conformance", "tests")]:
        del sys.modules[name]
    load()


def _changes(genuine: CodeType, mutated: CodeType) -> dict[CodeType, CodeType] | None:
    """The code of functions before and after; None where statements of the module differ."""
    ours, theirs = (c.replace(co_consts=_without_code(c)) for c in (genuine, mutated))
    inner = [[k for k in c.co_consts if isinstance(k, CodeType)] for c in (genuine, mutated)]
    outermost = genuine.co_name == "<module>"
    if len(inner[0]) != len(inner[1]) or genuine.co_freevars != mutated.co_freevars or (outermost and ours != theirs):
        return None
    found = {} if outermost or genuine == mutated else {genuine: mutated}
    for a, b in zip(*inner):
        more = _changes(a, b)
        if more is None:
            return None
        found |= more
    return found


def _without_code(code: CodeType) -> tuple[object, ...]:
    return tuple(None if isinstance(k, CodeType) else k for k in code.co_consts)
