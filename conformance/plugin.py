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

    prepared: Prepared
    begun: float
    background: Background | None = None
    waiter: Waiter | None = None


_STATE = pytest.StashKey[_State]()


def state(config: pytest.Config) -> _State:
    """The run of this session; where it cannot be, the session ends with one sentence."""
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
            # not pytest.UsageError, which would be an error of each module that is collected
            pytest.exit(f"torch-conformance: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
        except IncompleteError as error:
            pytest.exit(f"torch-conformance: {error}", returncode=3)
    return config.stash[_STATE]


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
        found = units(c for c in state(metafunc.config).prepared.cells if c.kind == kind)
        metafunc.parametrize("conformance_unit", found, ids=[u.id for u in found])


def _is_xdist_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is left after -k and the like is what the journal announces; xdist's controller does so from afar."""
    config = session.config
    if _STATE in config.stash and not _is_xdist_worker(config) and not config.option.collectonly:
        _announce(config, frozenset(_unit_id(item.nodeid) for item in session.items))


def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    config = node.config
    if _STATE not in config.stash and any("conformance_unit" in i or "[" in i for i in ids):
        state(config)
        _announce(config, frozenset(_unit_id(i) for i in ids))


pytest_xdist_node_collection_finished = pytest.hookimpl(optionalhook=True)(pytest_xdist_node_collection_finished)


def _unit_id(nodeid: str) -> str:
    return nodeid.partition("[")[2].removesuffix("]")


def _announce(config: pytest.Config, chosen: frozenset[str]) -> None:
    """Write the journal's header for the units that were collected."""
    from conformance.background import Background
    from conformance.run import IncompleteError, UsageError, begin

    found = state(config)
    cells = [c for c in found.prepared.cells if c.unit in chosen]
    found.prepared = dataclasses.replace(found.prepared, cells=cells)
    if not cells:
        return
    try:
        journal, done = begin(found.prepared)
    except (UsageError, IncompleteError) as error:
        raise pytest.UsageError(str(error)) from error
    journal.close()
    found.background = Background(found.prepared, done)


@pytest.fixture
def run_unit(request: pytest.FixtureRequest, subtests: Any) -> Any:
    """Runs a unit in a worker; every cell that is wrong and not known fails as a subtest."""
    from conformance.background import Waiter

    found = state(request.config)
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
    config = session.config
    if _STATE not in config.stash or config.option.collectonly:
        return
    found = config.stash[_STATE]
    if found.background is not None:
        found.background.stop()
        _close(session, found, found.background)


def _close(session: pytest.Session, found: _State, background: Background) -> None:
    """Footer, report, and the exit code of the command where pytest has none that is worse."""
    from conformance.journal import NAME, Journal
    from conformance.run import close, explain, plan_for

    journal = Journal(found.prepared.request.out / NAME)
    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
    if not interrupted and background.error is None:
        explain(found.prepared, plan_for(found.prepared, journal))
    seconds = time.monotonic() - found.begun
    code = close(found.prepared, journal, interrupted, background.stages, seconds)
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or code == 1:
        session.exitstatus = code


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _STATE not in config.stash or _is_xdist_worker(config) or config.option.collectonly:
        return
    from conformance.run import finished
    from reports.journal import JournalError
    from reports.text import summary

    out = config.stash[_STATE].prepared.request.out
    try:
        text = summary(finished(out))
    except JournalError:
        return
    terminalreporter.section("torch-conformance")
    terminalreporter.write_line(text)
    terminalreporter.write_line(f"report: {out / 'report.html'}")
