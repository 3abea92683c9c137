"""The workloads under pytest-benchmark: ``pytest --pyargs conformance.bench --benchmark-only``.

Every result is compared with the reference before it is timed. xdist would time processes that disturb each other, so
that with ``-n`` these are skipped. A fixed device: ``--device cuda:0``; level and dtypes by --level and ``-k``.
"""

from __future__ import annotations

import os

import pytest

from conformance.bench.session import fits, items
from conformance.bench.workloads import DTYPES

DEFAULT_LEVEL = 1


def pytest_generate_tests(metafunc):
    level = int(os.environ.get("TORCH_CONFORMANCE_BENCH_LEVEL", DEFAULT_LEVEL))
    found = [i for i in items(level, (), DTYPES) if not fits(i, "cpu")]
    metafunc.parametrize("item", found, ids=[i.id for i in found])


@pytest.mark.benchmark(min_rounds=5, max_time=0.1, warmup=True)
def test_workload(item, benchmark, torch_workload):
    benchmark.group = item.workload
    benchmark(torch_workload(item))
