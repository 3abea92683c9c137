"""Do the proofs of the reference see a wrong reference? Mutates it, and runs the proofs on every mutant.

    pip install cosmic-ray
    python docs/scripts/mutation.py --sample 400 [--seed 0] [--out FILE] [MODULE ...]

    MODULE    a part of a path (ops/conv, optim, tape); none: all of reference/
    --sample  so many mutants, drawn with the seed; none: all
    --out     a line of JSON for each mutant; those that are in the file already are not run again

Needs no torch. The files of proofs meet the reference as it is first: one that fails there would kill everything.
A mutant runs in a fork of a process that has imported everything, and meets, until one fails: the identities of the
rules and layers that the changed line can reach, those of its own file first; the test file of the family; the test
files that name what it can reach.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import json
import math
import os
import random
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from mutants import Mutant, mutants, sources  # noqa: E402
from reach import Definition, made_at_import, matters, module_of, reached  # noqa: E402
from substitute import exchange, import_anew, load  # noqa: E402

TESTS = ROOT / "tests" / "reference"
GENERIC = ("test_proofs", "test_layers", "test_numpy_twins", "test_layer_values")  # of rules by their names
SECONDS, BYTES = 15, 6 << 30  # of processor time without a proof that has finished; of memory
OTHERS = 8  # of the rules in other files that a mutant can reach, about so many are proved

Proof = tuple[str, Callable[[], None]]


def proofs(mutant: Mutant, reach: set[Definition]) -> Iterator[Proof]:
    """What concerns a mutant that can reach these definitions, the nearest first."""
    module = module_of(mutant.path)
    subjects = _subjects(reach)
    own = [s for s in subjects if s[1] == module]
    yield from _generic(own)
    files = _files(mutant, reach, {name for name, _ in subjects})
    near = [f for f in files if f.stem == f"test_{Path(mutant.path).stem}"]
    yield from _run(near)
    others = [s for s in subjects if s not in own]
    yield from _generic(others[:: 1 + len(others) // OTHERS])
    yield from _run([f for f in files if f not in near])


def _subjects(reach: set[Definition]) -> list[tuple[str, str]]:
    """(name, module) of the rules and layers among these definitions."""
    from reference import rules
    from reference.nn import LAYERS

    bodies = {name: rule.fn for name, rule in rules().items()} | {n: made.describe for n, made in LAYERS.items()}
    places = {name: (fn.__module__, fn.__qualname__.split(".")[0]) for name, fn in bodies.items()}
    if any(module in ("reference.rule", "reference.derive") for module, _ in reach):
        return [(name, module) for name, (module, _) in places.items()]
    return [(name, place[0]) for name, place in places.items() if place in reach]


def _generic(subjects: list[tuple[str, str]]) -> Iterator[Proof]:
    """Every test of the generic files for each of these, called without pytest, whose collection takes seconds."""
    for (subject, _), file in itertools.product(subjects, GENERIC):
        for name, test in vars(importlib.import_module(f"tests.reference.{file}")).items():
            marks = [m.args for m in getattr(test, "pytestmark", []) if m.name == "parametrize"]
            if name.startswith("test_") and any(key == "name" and subject in values for key, values in marks):
                options = [[(key, v) for v in ([subject] if key == "name" else values)] for key, values in marks]
                for chosen in itertools.product(*options):
                    yield f"{name}[{subject}]", lambda test=test, chosen=chosen: test(**dict(chosen))


def _files(mutant: Mutant, reach: set[Definition], subjects: set[str]) -> list[Path]:
    """The other test files that import a definition which the mutant reaches, or name a rule that it reaches."""
    modules, found = {module for module, _ in reach}, []
    subjects = subjects | {s.rpartition(".")[2] for s in subjects}
    for file in [*sorted(TESTS.glob("test_*.py")), ROOT / "tests" / "core" / "test_derive.py"]:
        text = file.read_text()
        named = any(f'"{s}"' in text for s in subjects) or any(
            f"from {m} import" in text or f"from {m.rpartition('.')[0]} import" in text for m in modules
        )
        if file.stem not in GENERIC[:2] and (named or file.stem == f"test_{Path(mutant.path).stem}"):
            found.append(file)
    return found


def _run(files: list[Path]) -> Iterator[Proof]:
    def run() -> None:
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:torch-conformance"]
        code = pytest.main([*options, *map(str, files)], plugins=[_Clock()])
        assert code == 0, f"pytest answered {code}"

    if files:
        yield " ".join(f.stem for f in files), run


class _Clock:
    """Every test begins with all of the time."""

    def pytest_runtest_setup(self) -> None:
        _wind()


def _wind() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)  # whose default action ends the process


# one mutant in a process of its own


def killer(mutant: Mutant) -> str:
    """The name of the first proof that fails on the mutant, or "" where it survives.

    What survives in the place of one function meets the proofs again where the whole reference is imported anew, if
    that function may have made tables.
    """
    source, reach = mutant.source, reached(mutant.path, mutant.line)
    exchanged = exchange(mutant.path, source)

    def in_place() -> None:
        for function, code in exchanged or ():
            function.__code__ = code

    def concerned() -> Iterator[Proof]:
        return proofs(mutant, reach)

    first = "" if exchanged is None else _killer(in_place, concerned)
    if first or (exchanged is not None and not made_at_import(reach)):
        return first
    return _killer(lambda: import_anew(mutant.path, source), concerned)


def failing() -> str:
    """The first file of proofs that fails on the reference as it is: it would kill whatever reaches it."""
    files = [f for f in sorted(TESTS.glob("test_*.py")) if f.stem not in GENERIC[:2]]
    unchanged = sources()[0]

    def each() -> Iterator[Proof]:
        return itertools.chain.from_iterable(_run([f]) for f in files)

    return _killer(lambda: import_anew(unchanged, (ROOT / unchanged).read_text()), each)


def _killer(substitute: Callable[[], None], concerned: Callable[[], Iterator[Proof]]) -> str:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        status = 1
        with contextlib.suppress(BaseException):
            _meet(substitute, concerned, lambda text: os.write(write, text.encode() + b"\n"))
            status = 0
        os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"{said[-1]} ({signal.Signals(os.WTERMSIG(status)).name})"
    return "" if status == 0 else said[-1]


def _meet(
    substitute: Callable[[], None], concerned: Callable[[], Iterator[Proof]], say: Callable[[str], object]
) -> None:
    """Run the proofs on the mutant; say the name of each before it begins. Raises what the failing one raises."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    say("import")
    substitute()
    for name, proof in concerned():
        say(name)
        _wind()
        proof()


# all of them


def chosen(parts: list[str], sample: int | None, seed: int) -> Iterator[Mutant]:
    paths = [p for p in sources() if not parts or any(part in p for part in parts)]
    found = [m for path in paths for m in mutants(path)]
    print(f"{len(found)} mutants in {len(paths)} files", flush=True)
    if sample is not None:
        random.Random(seed).shuffle(found)
    yield from itertools.islice((m for m in found if matters(m.path, m.line) and m.compiles), sample)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    os.chdir(ROOT)
    load()
    if broken := failing():
        sys.exit(f"fails on the reference as it is: {broken}")
    done: dict[str, str] = {}
    if options.out and options.out.exists():
        done = {entry["mutant"]: entry["killer"] for entry in map(json.loads, options.out.read_text().splitlines())}
    survivors, total = [], 0
    for mutant in chosen(options.modules, options.sample, options.seed):
        name = f"{mutant.path}:{mutant.line} {mutant.operator.removeprefix('core/')}#{mutant.occurrence}"
        known = done.get(name)
        by = killer(mutant) if known is None else known
        total += 1
        if known is None:
            print(f"{total} {name}: {by or 'SURVIVES'}" + ("" if by else f"\n{mutant.diff}"), flush=True)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps({"mutant": name, "killer": by}) + "\n")
        if not by:
            survivors.append(mutant)
    for mutant in survivors:
        print(f"\n{mutant.path}:{mutant.line} {mutant.operator}\n{mutant.diff}")
    share = 1 - len(survivors) / max(total, 1)
    error = math.sqrt(share * (1 - share) / max(total, 1))
    print(f"\nkilled {total - len(survivors)} of {total}: {share:.1%}, standard error {error:.1%}")


if __name__ == "__main__":
    main()
