"""The pytest plugin: the cells of `torch-conformance run` as pytest items, with the same options, journal and report.

An item is a unit (a subject on a target); its cells are subtests. The cells run in worker processes that
one thread of the session drives, so that a crash costs a cell and not the session; the items wait for
what the journal says, under xdist too.

Every pytest of the environment imports this module, conformance or not: it imports neither torch nor
NumPy, nor anything of the project that does, before a unit is collected.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance import options

if TYPE_CHECKING:
    from conformance.background import Background, Waiter
    from conformance.run import Prepared


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser.getgroup("conformance", "torch-conformance").addoption)


@dataclasses.dataclass
class _State:
    """What the process knows of the run; made when the first unit is collected."""

    prepared: Prepared | None
    begun: float
    refusal: str = ""  # why there is no run, in one sentence
    code: int = 0  # the exit code of a run that cannot be, or could not be completed
    background: Background | None = None
    waiter: Waiter | None = None


INCOMPLETE = 3
_STATE = pytest.StashKey[_State]()


def state(config: pytest.Config) -> _State:
    """The run of this session, or why there is none."""
    if _STATE not in config.stash:
        from conformance.known import KnownFileError
        from conformance.run import IncompleteError, UsageError, prepare

        begun = time.monotonic()
        request = dataclasses.replace(
            options.request(_Chosen(config)), command=tuple(sys.argv), workers=_workers(config)
        )
        try:
            config.stash[_STATE] = _State(prepare(request), begun)
        except (UsageError, KnownFileError) as error:
            config.stash[_STATE] = _State(None, begun, str(error), pytest.ExitCode.USAGE_ERROR)
        except IncompleteError as error:
            config.stash[_STATE] = _State(None, begun, str(error), INCOMPLETE)
    return config.stash[_STATE]


def _refuse(sentence: str, code: int) -> None:
    """End the session with one sentence."""
    if code == pytest.ExitCode.USAGE_ERROR:
        raise pytest.UsageError(f"torch-conformance: {sentence}")
    pytest.exit(f"torch-conformance: {sentence}", returncode=code)


def _workers(config: pytest.Config) -> int:
    """As many as xdist was told to have, else --workers."""
    asked = getattr(config.option, "tx", None) or []
    return len(asked) or int(config.getoption("--workers"))


class _Chosen:
    """pytest's options by attribute, as argparse gives them."""

    def __init__(self, config: pytest.Config):
        self._config = config

    def __getattr__(self, name: str) -> Any:
        value = self._config.getoption(f"--{name.replace('_', '-')}")
        return [Path(v) for v in value] if name == "known" else value


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "conformance_unit" in metafunc.fixturenames:
        from conformance.cells import units

        kind = getattr(metafunc.module, "KIND")  # noqa: B009  (a module's constant)
        prepared = state(metafunc.config).prepared
        found = units(c for c in prepared.cells if c.kind == kind) if prepared else []
        metafunc.parametrize("conformance_unit", found, ids=[u.id for u in found])


def _is_xdist_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is left after -k and the like is what the journal announces; xdist's controller does so from afar."""
    config = session.config
    if _STATE in config.stash and not _is_xdist_worker(config):
        _announce(config, [item.nodeid for item in session.items])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    if _STATE not in node.config.stash and any(_unit_id(i) for i in ids):
        _announce(node.config, ids)


# an item of another project, parametrized or not, must not look like a unit: the controller sees names alone
_SUITES = frozenset(path.name for path in (Path(__file__).parent / "suites").glob("test_*.py"))


def _unit_id(nodeid: str) -> str:
    """The unit that an item is about; "" for an item that is none of ours."""
    path, _, test = nodeid.partition("::")
    return test.partition("[")[2].removesuffix("]") if path.rpartition("/")[2] in _SUITES else ""


def _announce(config: pytest.Config, items: Iterable[str]) -> None:
    """Write the journal's header for the units that were collected, and begin to run them."""
    from conformance.background import Background
    from conformance.run import IncompleteError, UsageError, begin

    found = state(config)
    if found.prepared is None:
        _refuse(found.refusal, found.code)
        return
    chosen = {_unit_id(item) for item in items}
    cells = [c for c in found.prepared.cells if c.unit in chosen]
    found.prepared = dataclasses.replace(found.prepared, cells=cells)
    if not cells or config.option.collectonly:
        return
    try:
        journal, done = begin(found.prepared)
    except UsageError as error:
        _refuse(str(error), pytest.ExitCode.USAGE_ERROR)
    except IncompleteError as error:
        _refuse(str(error), INCOMPLETE)
    else:
        journal.close()
        found.background = Background(found.prepared, done)


@pytest.fixture
def run_unit(request: pytest.FixtureRequest, subtests: Any) -> Any:
    """Runs a unit in a worker; every cell that is wrong and not known fails as a subtest."""
    from conformance.background import Waiter

    found = state(request.config)
    assert found.prepared is not None
    if found.waiter is None:
        found.waiter = Waiter(found.prepared.request.out)

    def run(unit: Any) -> None:
        assert found.waiter is not None
        outcomes = found.waiter.outcomes(unit)
        applicable = False
        for cell in unit.cells:
            line = outcomes.get(cell.id, {"outcome": "not run", "known": None, "failure": None, "detail": ""})
            applicable |= line["outcome"] not in ("unsupported", "not_exercised")
            with subtests.test(msg=cell.id):
                if line["outcome"] in ("fail", "error", "timeout", "crash", "blocked", "not run") and not line["known"]:
                    message = (line["failure"] or {}).get("message") or line["detail"]
                    pytest.fail(f"{line['outcome']}: {message}", pytrace=False)
                if line["known"]:
                    pytest.xfail(line["known"]["reason"])
        if not applicable:
            pytest.skip("no cell of this unit applies here")

    return run


def pytest_sessionfinish(session: pytest.Session) -> None:
    found = session.config.stash.get(_STATE, None)
    if found is not None and found.background is not None:
        whole = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        # an item ends with the last line of its unit, a moment before the worker does
        found.background.end(early=not whole or bool(session.shouldstop or session.shouldfail))
        _close(session, found, found.background)


def _close(session: pytest.Session, found: _State, background: Background) -> None:
    """Footer, report, and the exit code of the command where pytest has none that is worse."""
    from conformance.journal import NAME, Journal
    from conformance.run import IncompleteError, close, explain, plan_for

    assert found.prepared is not None
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    seconds = time.monotonic() - found.begun
    try:
        journal = Journal(found.prepared.request.out / NAME)
        if background.error is not None:
            found.refusal = "" if interrupted else str(background.error)
        elif not interrupted:
            explain(found.prepared, plan_for(found.prepared, journal))
        code = close(found.prepared, journal, interrupted, background.stages, seconds)
    except (IncompleteError, OSError) as error:
        code, found.refusal = INCOMPLETE, str(error)
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or code == 1:
        session.exitstatus = code


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(_STATE, None)
    if found is None or found.prepared is None or found.background is None:
        return
    from conformance.run import finished
    from reports.journal import JournalError
    from reports.text import summary

    terminalreporter.section("torch-conformance")
    if found.refusal:
        terminalreporter.write_line(f"torch-conformance: {found.refusal}")
    out = found.prepared.request.out
    try:
        text = summary(finished(out))
    except JournalError:
        return
    terminalreporter.write_line(text)
    if (out / "report.html").exists():
        terminalreporter.write_line(f"report: {out / 'report.html'}")
