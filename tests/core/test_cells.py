"""Cells have stable ids; units, shards and the manifest follow from those."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance.cells import Cell, cell_from, in_shard, manifest_hash, target_name, units
from tests.running import ROOT


def cell(
    subject: str = "exp", check: str = "vjp", device: str = "cpu", mode: str = "eager", dtype: str = "float32"
) -> Cell:
    return Cell("op", subject, "powers", check, device, mode, dtype, 1)


CELLS = [
    cell(f"op{i}", check, mode=mode, dtype=dtype)
    for i in range(40)
    for mode in ("eager", "inductor")
    for check in ("value", "vjp")
    for dtype in ("float64", "float32")
]


def test_an_id_says_subject_check_target_and_dtype():
    assert cell("nn.functional.softplus").id == "nn.functional.softplus::vjp::cpu::float32"
    assert cell(device="cuda:1", mode="inductor").id == "exp::vjp::cuda:1+inductor::float32"
    assert target_name("cpu", "eager") == "cpu"


def test_ids_are_unique():
    assert len({c.id for c in CELLS}) == len(CELLS)


def test_a_record_brings_the_cell_back_and_names_its_id():
    record = cell().record()
    assert set(record) == {"id", "kind", "subject", "family", "check", "device", "mode", "dtype", "level"}
    assert cell_from(record) == cell() and record["id"] == cell().id


def test_a_unit_is_a_subject_on_a_target_and_units_are_a_partition():
    found = units(CELLS)
    assert len(found) == 80 and [u.id for u in found] == list(dict.fromkeys(c.unit for c in CELLS))
    assert sorted(c.id for u in found for c in u.cells) == sorted(c.id for c in CELLS)
    assert all(len({(c.subject, c.target) for c in u.cells}) == 1 for u in found)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_shards_are_a_partition_of_the_units(count):
    for unit in units(CELLS):
        assert sum(in_shard(unit.id, (i, count)) for i in range(1, count + 1)) == 1
        assert in_shard(unit.id, None)


def test_shards_are_of_about_the_same_size():
    sizes = [sum(in_shard(u.id, (i, 4)) for u in units(CELLS)) for i in range(1, 5)]
    assert min(sizes) >= 10


def test_the_manifest_hash_is_of_the_set_of_cells():
    ids = [c.id for c in CELLS]
    assert manifest_hash(ids) == manifest_hash(reversed(ids))
    assert manifest_hash(ids) != manifest_hash(ids[1:])
    assert len(manifest_hash([])) == 64


PRINT = """
from tests.core.test_cells import CELLS
from conformance.cells import in_shard, manifest_hash, units
print(manifest_hash(c.id for c in CELLS), [u.id for u in units(CELLS) if in_shard(u.id, (2, 3))])
"""


def test_shards_and_hash_are_the_same_in_every_process():
    def printed(seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PRINT], cwd=ROOT, env=env, text=True, capture_output=True, check=True
        )
        return done.stdout

    assert printed("1") == printed("2") != ""


def test_shards_and_hash_stay_what_they_are_from_version_to_version():
    """Journals of an older version are resumed and merged."""
    assert [in_shard("exp::cpu", (i, 3)) for i in (1, 2, 3)] == [False, True, False]
    assert manifest_hash(["b", "a"]) == "7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78"
