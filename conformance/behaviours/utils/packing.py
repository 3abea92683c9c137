"""Packed sequences: packing, padding, and the gradients through both. Numbers tell where each came from."""

from __future__ import annotations

import inspect

import torch
from torch.nn.utils import rnn

from conformance.behaviours.promise import promise
from conformance.behaviours.say import raises, same

DTYPES = {"float32": 2, "float64": 3, "bfloat16": 3, "float16": 3, "int64": 3}
PACKED = "generated/torch.nn.utils.rnn.PackedSequence.html"


def batch(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    """Sequences of 2, 1 and 3 steps of two features each: step t of sequence n is 10 n + t, and minus that."""
    return [
        torch.tensor([[10 * n + t, -10 * n - t] for t in range(length)], device=device).to(dtype)
        for n, length in enumerate((2, 1, 3), start=1)
    ]


@promise("nn.utils.rnn", "nn.utils.rnn.pack_padded_sequence", levels=DTYPES, covers=("nn.utils.rnn.PackedSequence",))
def steps_of_all_sequences_lie_together(device: torch.device, dtype: torch.dtype) -> None:
    """The data are step by step, the longest sequence first; batch_sizes counts the sequences that reach a step, on the
    CPU; sorted_indices is the order of the batch and unsorted_indices its inverse."""
    padded = rnn.pad_sequence(batch(device, dtype))
    rows = [30, 10, 20, 31, 11, 32]
    want = torch.tensor([[r, -r] for r in rows], device=device).to(dtype)
    for lengths in ([2, 1, 3], torch.tensor([2, 1, 3])):
        for first in (False, True):
            packed = rnn.pack_padded_sequence(
                padded.transpose(0, 1) if first else padded, lengths, batch_first=first, enforce_sorted=False
            )
            same(packed.data, want)
            same(packed.batch_sizes, torch.tensor([3, 2, 1]))
            same(packed.sorted_indices, torch.tensor([2, 0, 1], device=device))
            same(packed.unsorted_indices, torch.tensor([1, 2, 0], device=device))


@promise("nn.utils.rnn", "nn.utils.rnn.pack_padded_sequence", levels=DTYPES)
def sorted_sequences_need_no_indices(device: torch.device, dtype: torch.dtype) -> None:
    """With enforce_sorted, as by default, lengths must not increase, and there are no indices."""
    a, b, c = batch(device, dtype)
    packed = rnn.pack_padded_sequence(rnn.pad_sequence([c, a, b]), [3, 2, 1])
    same(packed.data[:, 0], torch.tensor([30, 10, 20, 31, 11, 32], device=device).to(dtype))
    same((packed.sorted_indices, packed.unsorted_indices), (None, None))
    raises(RuntimeError, lambda: rnn.pack_padded_sequence(rnn.pad_sequence([a, b, c]), [2, 1, 3]), "sorted")
    raises(RuntimeError, lambda: rnn.pack_sequence([a, b, c]), "sorted")


@promise("nn.utils.rnn", "nn.utils.rnn.pack_padded_sequence")
def lengths_must_fit(device: torch.device, dtype: torch.dtype) -> None:
    """There is a length above 0 for each sequence of the batch; RuntimeError where there is not."""
    padded = torch.zeros(3, 2, dtype=dtype, device=device)
    raises(RuntimeError, lambda: rnn.pack_padded_sequence(padded, [3, 0]), "greater than 0")
    raises(RuntimeError, lambda: rnn.pack_padded_sequence(padded, [3]), "size")


@promise("nn.utils.rnn", "nn.utils.rnn.pad_packed_sequence", levels=DTYPES)
def padding_is_the_inverse_of_packing(device: torch.device, dtype: torch.dtype) -> None:
    """The sequences come back in the order in which they were packed, with their lengths, and padding_value behind
    them, up to total_length."""
    sequences = batch(device, dtype)
    packed = rnn.pack_sequence(sequences, enforce_sorted=False)
    for first, total, value in ((False, None, 0), (True, None, 7), (True, 5, -1), (False, 3, 2)):
        got, lengths = rnn.pad_packed_sequence(packed, batch_first=first, padding_value=value, total_length=total)
        want = torch.full((3, total or 3, 2), value, dtype=dtype, device=device)
        for n, s in enumerate(sequences):
            want[n, : len(s)] = s
        same(got, want if first else want.transpose(0, 1))
        same(lengths, torch.tensor([2, 1, 3]))
    raises(ValueError, lambda: rnn.pad_packed_sequence(packed, total_length=2), "total_length")


@promise("nn.utils.rnn", "nn.utils.rnn.pack_padded_sequence", levels={"float32": 2, "float64": 3})
def gradients_pass_through_packing(device: torch.device, dtype: torch.dtype) -> None:
    """The gradient of a packed element reaches its place in the padded input, and padding has the gradient 0."""
    x = torch.arange(6, dtype=dtype, device=device).reshape(3, 2).requires_grad_()  # (T, B)
    packed = rnn.pack_padded_sequence(x, [1, 3], enforce_sorted=False)
    packed.data.backward(torch.tensor([1.0, -2, 3, 5], dtype=dtype, device=device))
    same(x.grad, torch.tensor([[-2.0, 1], [0, 3], [0, 5]], dtype=dtype, device=device))


@promise("nn.utils.rnn", "nn.utils.rnn.pad_packed_sequence", levels={"float32": 2, "float64": 3})
def gradients_pass_through_padding(device: torch.device, dtype: torch.dtype) -> None:
    """The gradient of an element of the padded output reaches its element in the data; that of padding reaches none."""
    sequences = [torch.tensor(s, dtype=dtype, device=device, requires_grad=True) for s in ([1.0], [2.0, 3.0, 4.0])]
    padded, _ = rnn.pad_packed_sequence(rnn.pack_sequence(sequences, enforce_sorted=False), True, 9.0, 4)
    padded.backward(torch.tensor([[1.0, -7, -7, -7], [2, 3, -4, -7]], dtype=dtype, device=device))
    want = ([1.0], [2.0, 3.0, -4.0])
    same([s.grad for s in sequences], [torch.tensor(w, dtype=dtype, device=device) for w in want])


@promise("nn.utils.rnn", "nn.utils.rnn.pad_sequence", levels=DTYPES)
def sequences_are_stacked_and_padded(device: torch.device, dtype: torch.dtype) -> None:
    """The sequences along a new dimension, padded to the longest one by padding_value, on either side."""
    sequences = [s[:, 0] for s in batch(device, dtype)]
    right = torch.tensor([[10, 11, 5], [20, 5, 5], [30, 31, 32]], device=device).to(dtype)
    left = torch.tensor([[5, 10, 11], [5, 5, 20], [30, 31, 32]], device=device).to(dtype)
    same(rnn.pad_sequence(sequences, True, 5), right)
    same(rnn.pad_sequence(sequences, padding_value=5), right.t())
    if "padding_side" in inspect.signature(rnn.pad_sequence).parameters:
        same(rnn.pad_sequence(sequences, True, 5, "left"), left)


@promise("nn.utils.rnn", "nn.utils.rnn.unpad_sequence", "nn.utils.rnn.unpack_sequence", "nn.utils.rnn.pack_sequence",
         levels=DTYPES)  # fmt: skip
def sequences_come_back(device: torch.device, dtype: torch.dtype) -> None:
    """unpad_sequence undoes pad_sequence, and unpack_sequence undoes pack_sequence."""
    sequences, lengths = batch(device, dtype), torch.tensor([2, 1, 3], device=device)
    for first in (False, True):
        same(rnn.unpad_sequence(rnn.pad_sequence(sequences, first), lengths, first), sequences)
    same(rnn.unpack_sequence(rnn.pack_sequence(sequences, enforce_sorted=False)), sequences)


@promise("nn.utils.rnn", "nn.utils.rnn.unpad_sequence")
def what_is_unpadded_stays_as_it_is(device: torch.device, dtype: torch.dtype) -> None:
    """unpad_sequence gives a list of sequences; the padded tensor that it is given keeps its shape and values."""
    padded = rnn.pad_sequence(batch(device, dtype))
    before = padded.clone()
    rnn.unpad_sequence(padded, torch.tensor([2, 1, 3], device=device))
    same(padded, before)


@promise("nn.utils.rnn", "nn.utils.rnn.PackedSequence", link=PACKED)
def a_packed_sequence_is_converted_like_its_data(device: torch.device, dtype: torch.dtype) -> None:
    """`to` converts the data and leaves batch_sizes and the order; where nothing changes it gives the sequence
    itself."""
    packed = rnn.pack_sequence(batch(device, dtype), enforce_sorted=False)
    same(packed.to(dtype) is packed, True)
    wide = packed.to(torch.float64)
    same((type(wide), wide.data), (rnn.PackedSequence, packed.data.double()))
    same([wide.batch_sizes, wide.sorted_indices], [packed.batch_sizes, packed.sorted_indices])
    same(packed.double().data.dtype, torch.float64)


@promise("nn.utils.rnn", "nn.utils.rnn.invert_permutation", link=PACKED)
def a_permutation_is_inverted(device: torch.device, dtype: torch.dtype) -> None:
    """invert_permutation gives the inverse of a permutation, and None of None."""
    order = torch.tensor([2, 0, 3, 1], device=device)
    same(rnn.invert_permutation(order), torch.tensor([1, 3, 0, 2], device=device))
    same(rnn.invert_permutation(None), None)
