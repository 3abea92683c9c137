"""The reference on inputs that nobody here wrote: PyTorch's own sample inputs (op_db), values and gradients.

    pip install expecttest && python docs/scripts/foreign_calls.py [complex] [OP ...]

Prints what each op's rule refuses or answers otherwise than torch in float64 (complex128). Not every line is a
deviation: op_db wraps some ops so that their arguments stand in another order, and vectors of decompositions
are unique up to signs alone.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from reference import lookup
from reference.derive import Call
from reference.rule import Case, Rule

MOST = 120  # samples of an op


def array(value: Any) -> Any:
    """Tensors inside lists and tuples as arrays."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().resolve_conj().resolve_neg().numpy()
    if isinstance(value, (list, tuple)):
        made = [array(v) for v in value]
        return tuple(made) if isinstance(value, tuple) else made
    return value


def flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from flat(each)
    else:
        yield value


def close(got: Any, want: Any) -> bool:
    return np.shape(got) == np.shape(want) and np.allclose(got, want, rtol=1e-7, atol=1e-9, equal_nan=True)


def differs(rule: Rule, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """What of one call the rule refuses or answers otherwise; "" where nothing, or where torch refuses it."""
    try:
        out = function(*args, **kwargs)
    except Exception:
        return ""
    call = Call(rule, Case(array(args), {k: array(v) for k, v in kwargs.items()}))
    try:
        outs, pull = call.run(call.arrays)
    except Exception as error:
        return f"call: {type(error).__name__}: {error}"
    tensors = [t for t in flat(out) if isinstance(t, torch.Tensor)]
    if len(tensors) != len(outs) or not all(close(array(t), o) for t, o in zip(tensors, outs)):
        return "value"
    used = [i for i, t in enumerate(tensors) if t.grad_fn is not None]
    leaves = [t for t in flat([*args, *kwargs.values()]) if isinstance(t, torch.Tensor) and t.requires_grad]
    if not used or not leaves:
        return ""
    gs = [torch.randn_like(tensors[i]) for i in used]
    try:
        grads = torch.autograd.grad([tensors[i] for i in used], leaves, gs, allow_unused=True)
    except RuntimeError:
        return ""
    cotangents: list[Any] = [None] * len(outs)
    for i, g in zip(used, gs):
        cotangents[i] = array(g)
    wanted = {id(t): g for t, g in zip(leaves, grads)}
    for place, found in zip(call._places, pull(cotangents)):
        given = kwargs[place[0]] if isinstance(place[0], str) else args[place[0]]
        for step in place[1:]:
            given = given[step]
        want = wanted.get(id(given))
        if want is not None and not close(np.zeros(tuple(want.shape)) if found is None else found, array(want)):
            return "gradient"
    return ""


def main() -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    words = sys.argv[1:]
    dtype = torch.complex128 if "complex" in words else torch.float64
    chosen = [w for w in words if w != "complex"]
    ops = samples = 0
    for op in op_db:
        rule = lookup(op.name)
        if rule is None or dtype not in op.dtypes or (chosen and op.name not in chosen):
            continue
        torch.manual_seed(0)
        grad = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
        found: Counter[str] = Counter()
        drawn = list(op.sample_inputs("cpu", dtype, requires_grad=grad))[:MOST]
        for sample in drawn:
            options = {k: v for k, v in sample.kwargs.items() if k != "out"}
            what = differs(rule, op.op, (sample.input, *sample.args), options)
            if what:
                found[what[:150]] += 1
        ops, samples = ops + 1, samples + len(drawn)
        if found:
            print(op.name, op.variant_test_name, f"{sum(found.values())} of {len(drawn)}:", dict(found), flush=True)
    print(f"{ops} ops, {samples} samples")


if __name__ == "__main__":
    main()
