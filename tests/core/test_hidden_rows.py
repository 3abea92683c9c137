"""The check hidden_rows sees the kernel that answers with nan, and passes where that is off."""

from __future__ import annotations

import pytest
import torch

from conformance import literal
from conformance.checks.check import Clock, Trial
from conformance.compare import Mismatch, Tally
from conformance.known import shipped
from conformance.layers import LayerSession
from conformance.layers.checks import CHECKS, HIDDEN
from conformance.oracle import Oracle
from conformance.session import Options
from conformance.target import Target
from reference.derive import Call

CPU = Target("cpu")
CASES = {entry.patterns[0].split("::")[0]: entry.case for entry in shipped() if "hidden_rows" in entry.patterns[0]}


def judged(subject: str) -> None:
    session = LayerSession(subject, CPU, Options(), Clock())
    call = Call(session.rule, literal.read(CASES[subject]))
    oracle = Oracle(call, "float32")
    tally = Tally(check="hidden_rows")
    CHECKS["hidden_rows"].run(Trial(session.rule, CPU, "float32", call, lambda *_: oracle, tally, Clock()))
    assert tally.elements


@pytest.fixture
def unfused():
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize("subject", HIDDEN)
@pytest.mark.skipif(torch.__version__ < "2.5", reason="every path gives nan")
def test_the_fused_kernel_is_seen(subject):
    with pytest.raises(Mismatch, match="nan by one path"):
        judged(subject)


@pytest.mark.parametrize("subject", HIDDEN)
@pytest.mark.skipif(not hasattr(torch.backends, "mha"), reason="the fused kernel cannot be turned off")
def test_without_the_fused_kernel_every_path_agrees(subject, unfused):
    judged(subject)
