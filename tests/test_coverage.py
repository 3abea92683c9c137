"""Coverage is counted against the installed torch's own inventory."""

from __future__ import annotations

import fnmatch

import pytest
import torch

from conformance import coverage, inventory
from tests.running import command

NEWEST = tuple(map(int, torch.__version__.split(".")[:2])) == (2, 13)


@pytest.fixture(scope="module")
def names() -> list[inventory.Name]:
    return inventory.ask()


@pytest.fixture(scope="module")
def found(names) -> dict[str, coverage.Row]:
    return {row.name.path: row for row in coverage.rows(names, coverage.omissions())}


@pytest.mark.parametrize(
    "name", ["exp", "Tensor.exp_", "nn.functional.gelu", "linalg.solve", "special.zeta", "fft.rfft"]
)
def test_a_differentiable_function_is_found_to_be_one(found, name):
    assert found[name].kind == "differentiable"


@pytest.mark.parametrize("name", ["eq", "argmax", "special.bessel_j0"])
def test_a_function_without_a_derivative_is_found_to_be_one(found, name):
    assert found[name].kind == "value"


@pytest.mark.parametrize("name", ["is_complex", "Tensor.numel"])
def test_what_gives_no_tensor_is_not_counted(found, name):
    assert found[name].kind == "other"


@pytest.mark.skipif(not NEWEST, reason="another release has other names: the command lists them")
def test_every_differentiable_function_has_a_rule_or_a_reason(found):
    missing = [n for n, r in found.items() if r.kind in ("differentiable", "unknown") and not r.rule and not r.reason]
    assert missing == []


@pytest.mark.skipif(not NEWEST, reason="another release has other names")
def test_every_omission_is_of_a_function_that_is_there_and_has_no_rule(found):
    for entry in (e for e in coverage.omissions() if not e.old):
        for pattern in entry.patterns:
            matched = [n for n in found if fnmatch.fnmatchcase(n, pattern)]
            assert matched, pattern
            assert any(found[n].rule is None for n in matched), pattern


def test_an_in_place_method_is_covered_where_its_check_calls_it(found):
    assert found["Tensor.absolute_"].rule == "abs"


def test_every_facility_has_a_law_a_promise_or_a_reason(found):
    facilities = {n: r for n, r in found.items() if r.kind == "facility"}
    assert {r.name.namespace for r in facilities.values()} == set(inventory.FACILITIES)
    assert [n for n, r in facilities.items() if not r.rule and not r.reason] == []
    assert facilities["nn.init.xavier_normal_"].rule == "laws.nn.init.xavier_normal_"
    assert facilities["nn.utils.prune.L1Unstructured"].rule == "nn.utils.prune.l1_unstructured"


def test_a_container_is_covered_by_its_promises(found):
    assert found["nn.ParameterDict"].rule == "containers.nn.ParameterDict"


def test_a_function_that_ends_the_process_costs_its_own_name(monkeypatch):
    real = inventory.subprocess.run

    def dying(command, **options):
        begun = (
            "import os\nfrom conformance import inventory\n"
            "plain = inventory.classify\n"
            'inventory.classify = lambda path, f: os._exit(9) if path == "abs" else plain(path, f)\n'
            'inventory.public = lambda: {"abs": 1, "acos": __import__("torch").acos}\ninventory.main()'
        )
        return real([command[0], "-c", begun], **options)

    monkeypatch.setattr(inventory.subprocess, "run", dying)
    found = {n.path: n.kind for n in inventory.ask() if n.kind not in ("class", "facility")}
    assert found == {"abs": "unknown", "acos": "differentiable"}


def test_the_command_prints_covered_of_total_for_each_namespace(tmp_path):
    done = command("list", "--coverage", out=tmp_path)
    assert done.code == 0
    lines = {line.split()[0]: line.split()[1:4] for line in done.stdout.splitlines()[1:8]}
    assert set(lines) == {"torch", "Tensor", "nn.functional", "linalg", "special", "fft", "all"}
    covered, _, total = lines["special"]
    assert 0 < int(covered) <= int(total)
