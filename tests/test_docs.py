"""The documentation's example is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "adding-an-op.md"

FORGET = """
import sys
import reference
for names in (sys.modules["reference.rule"]._NAMES, sys.modules["reference.rule"]._REGISTRY):
    del names["logaddexp2"]  # the shipped rule, in whose place comes the page's
"""
CHECK = """
from conformance.cells import Cell
from conformance.checks.check import Clock
from conformance.kinds import op_cells
from conformance.session import OpSession, Options
from conformance.target import Target
from tests.reference.proof import prove
from reference import rules

rule = rules()["logaddexp2"]
for seed in range(30):
    prove(rule, seed)
session = OpSession("logaddexp2", Target("cpu"), Options(level=2), Clock())
results = {c.id: session.run(c) for c in op_cells(Target("cpu")) if c.subject == "logaddexp2" and c.level <= 2}
wrong = {k: r.detail for k, r in results.items() if r.outcome not in ("pass", "unsupported")}
assert not wrong, wrong
assert sum(r.outcome == "pass" for r in results.values()) > 30
"""


def test_the_op_that_the_page_adds_is_proved_and_passes_on_this_torch(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 1
    script = tmp_path / "logaddexp2.py"
    script.write_text(FORGET + blocks[0] + CHECK)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=PAGE.parents[1], check=False,
        env={**__import__("os").environ, "PYTHONPATH": str(PAGE.parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_table_of_promises_is_up_to_date():
    script = PAGE.parents[1] / "docs" / "scripts" / "promises.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, cwd=PAGE.parents[1], check=False,
        env={**__import__("os").environ, "PYTHONPATH": str(PAGE.parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
