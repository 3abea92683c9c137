"""What torch computes in a benchmark is what the reference says, and an answer that is wrong is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conformance.bench import bodies, parity, session, work, worker
from conformance.bench.parity import Item, item_from
from conformance.bench.timing import Device
from conformance.bench.workloads import WORKLOADS

CPU = Device("cpu", lambda: None, lambda: None)
SMALL = [
    Item(w.name, w.sizes[0][0], mode, "float32")
    for w in WORKLOADS.values()
    for mode in w.modes
    if w.name not in ("transformer", "conv2d")
]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def answered(item, tmp_path, change=lambda t: t, seed=0):
    """The check of torch's answers after `change` has been done to each."""
    workload = WORKLOADS[item.workload]
    arrays = workload.arrays(item.size, seed)
    dtype = worker.torch_dtype(item.dtype)
    body = bodies.BODIES[item.workload]([torch.from_numpy(a).to(dtype) if a.dtype.kind == "f" else torch.from_numpy(a)
                                         for a in arrays])  # fmt: skip
    kept = parity.rows(workload, arrays[workload.rows[0]].shape[0], seed) if workload.rows else None
    with torch.no_grad():
        shape = body.call().shape
    g = torch.from_numpy(parity.cotangent(shape, kept, seed)).to(dtype) if item.mode == "training" else None
    out, gradients = bodies.answer(body, item.mode, g)
    changed = change(out), [change(d) for d in gradients]
    name = worker._answer(changed, body, kept, workload.rows, CPU, str(tmp_path))
    return parity.check(item, tmp_path / name, seed)


@pytest.mark.parametrize("item", SMALL, ids=lambda i: i.id)
def test_every_workload_agrees_with_the_reference(item, tmp_path):
    assert answered(item, tmp_path) == ""


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["mm", "attention", "two_layer", "lenet", "lstm", "softmax"])
def test_short_dtypes_agree_too(name, dtype, tmp_path):
    workload = WORKLOADS[name]
    assert answered(Item(name, workload.sizes[0][0], workload.modes[-1], dtype), tmp_path) == ""


def once(t):
    """One element moved by a thousandth of the largest."""
    t = t.clone()
    t.view(-1)[t.numel() // 2] += 1e-3 * t.abs().max()
    return t


@pytest.mark.parametrize("item", [i for i in SMALL if i.mode != "forward"], ids=lambda i: i.id)
def test_a_wrong_element_is_seen(item, tmp_path):
    if WORKLOADS[item.workload].rows and item.size > WORKLOADS[item.workload].most:
        pytest.skip("that row may not be one of those that are checked")
    assert answered(item, tmp_path, once)


WRONG = {"scaled": lambda t: t * 1.001, "zero": torch.zeros_like, "nan": lambda t: t * torch.nan,
         "shape": lambda t: t[..., None]}  # fmt: skip


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", ["mm", "lenet", "add"])
def test_wrong_answers_are_seen(name, change, tmp_path):
    assert answered(Item(name, WORKLOADS[name].sizes[0][0], "forward", "float32"), tmp_path, change)


def test_the_first_and_the_last_row_are_always_checked():
    workload = WORKLOADS["softmax"]
    for seed in range(5):
        kept = parity.rows(workload, 1000, seed)
        assert kept[0] == 0 and kept[-1] == 999 and len(np.unique(kept)) == workload.most
    assert list(parity.rows(workload, 3, 0)) == [0, 1, 2]


def test_tf32_is_compared_at_its_own_precision():
    quantity = parity._wanted(Item("mm", 256, "forward", "tf32"), 0)[0][1]
    exact = parity._wanted(Item("mm", 256, "forward", "float32"), 0)[0][1]
    assert quantity.dtypes[0].digits == 11 and exact.dtypes[0].digits == 24


def test_ids_come_back():
    for item in session.items(3, [], ("float32", "tf32", "bfloat16", "float16")):
        assert item_from(item.id) == item
    for id in ("mm[256]::sideways::float32", "nothing[1]::forward::float32", "mm", ""):
        with pytest.raises(ValueError, match="no such benchmark"):
            item_from(id)


@pytest.mark.parametrize(
    ("id", "flops"),
    [
        ("mm[256]::forward::float32", 2 * 256**3),
        ("mm[256]::training::float32", 6 * 256**3),
        ("lstm[8]::forward::float32", 8 * 32 * 2 * 4 * 128 * 256),
        ("attention[128]::forward::float32", 4 * 16 * 128 * 128 * 64),
        ("sum[4096]::training::float32", 0),
        ("lenet[64]::training::float32", 3 * 83_420_160),
    ],
)
def test_flops_are_those_counted_by_hand(id, flops):
    item = item_from(id)
    assert work.flops(item, WORKLOADS[item.workload].arrays(item.size, 0)) == flops


def test_bytes_are_counted_by_hand():
    def moved(name, size, training):
        workload = WORKLOADS[name]
        arrays = workload.arrays(size, 0)
        return workload.moved(arrays, [np.empty((size, size))], size, training)

    assert moved("mm", 16, False) == 3 * 256
    assert moved("mm", 16, True) == 3 * 256 + 256 + 2 * 2 * 256
    assert moved("add", 100, False) == moved("add", 100, True) == 300  # its gradients are the cotangent itself
    assert WORKLOADS["adamw_fused"].moved([], [], 1000, False) == 7 * 10 * 1000
