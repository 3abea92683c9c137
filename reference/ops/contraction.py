"""Sums of products over any dimensions: einsum, tensordot and what is defined by them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reference.draw import Draw
from reference.rule import Array, Case, Waiver, conj, is_array, rule, unbroadcast

# From this many products on, a contraction is done pair by pair through matrix products.
PAIRWISE = 20_000


def summed(operands, labels, out):
    """np.einsum over integer labels (fewer than 52)."""
    flat = [item for pair in zip(operands, labels) for item in pair]
    work = math.prod({l: n for x, names in zip(operands, labels) for l, n in zip(names, x.shape)}.values())
    return np.einsum(*flat, out, optimize=len(operands) > 1 and work > PAIRWISE)


def contract(operands, labels, out):
    """The sum of products over every label that is not in `out`, and its vjp (one gradient for each operand).

    Dimensions of one element broadcast against longer ones of the same label. A label that is repeated
    in one operand takes its diagonal: contraction with an identity matrix, so that no label is repeated.
    """
    numbers = {l: i for i, l in enumerate(dict.fromkeys(l for names in labels for l in names))}
    sizes: dict[int, int] = {}
    for x, names in zip(operands, labels):
        for l, n in zip(names, x.shape):
            sizes[numbers[l]] = n if sizes.get(numbers[l], 1) == 1 else sizes[numbers[l]]
    target = [numbers[l] for l in out]
    parts, places, links = [], [], []
    for x, names in zip(operands, labels):
        own, shape = [], []
        for l, n in zip(names, x.shape):
            i = numbers[l]
            if n == 1 and sizes[i] != 1:
                continue  # broadcast: the other operands carry the label
            if i in own:
                fresh = len(sizes)
                sizes[fresh] = n
                links.append((np.eye(n, dtype=x.dtype), [i, fresh]))
                i = fresh
            own.append(i)
            shape.append(n)
        parts.append(x.reshape(shape))
        places.append(own)
    eyes, joints = [e for e, _ in links], [j for _, j in links]
    y = summed(parts + eyes, places + joints, target)

    def gradient(k, g):
        rest = [g, *(conj(p) for i, p in enumerate(parts) if i != k), *eyes]
        names = [target, *(p for i, p in enumerate(places) if i != k), *joints]
        known = {l for n in names for l in n}
        grad = summed(rest, names, [l for l in places[k] if l in known])
        # a label that stands in this operand alone was summed: the gradient is constant along it
        grad = grad.reshape([sizes[l] if l in known else 1 for l in places[k]])
        return np.broadcast_to(grad, parts[k].shape).reshape(operands[k].shape)

    return y, lambda g: [gradient(k, g) for k in range(len(operands))]


def spelled(term, ndim):
    """The labels of one operand; the dimensions under an ellipsis are numbered from the right."""
    before, dots, after = term.partition("...")
    count = ndim - len(before) - len(after)
    if (count if not dots else min(count, 0)) != 0:
        raise ValueError(f"{term!r} does not fit {ndim} dimensions")
    return [*before, *range(count, 0, -1), *after]


def parse(equation, ndims):
    """The labels of each operand and of the output."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    labels = [spelled(term, n) for term, n in zip(inputs.split(","), ndims)]
    widest = max((l for names in labels for l in names if isinstance(l, int)), default=0)
    if arrow:
        return labels, spelled(output, len(output) - 3 + widest if "..." in output else len(output))
    letters = sorted(l for names in labels for l in names if isinstance(l, str))
    return labels, [*range(widest, 0, -1), *(l for l in letters if letters.count(l) == 1)]


EQUATIONS = (
    "ij,jk->ik", "i,i->", "ij->ji", "ij->", "ij->j", "ii->i", "ii", "iij->ji", "ij,jk,kl->il", "bij,bjk->bik",
    "i,j", "ba", "bA", "...ij,...jk->...ik", "...i->...", "i...->i", "...ii->...i", "ij,ij->ij", "ij,kl->",
    ",", "i,->i", "bn,anm,bm->ba", "ijk,ijk,ik->j", "...,...", "aab,bc...", "ab , b -> a", "...i,j...->ij",
    "ij,ji", "i...j,j", "iji->j",
)  # fmt: skip


def einsum_cases(draw: Draw):
    equation = draw.choice(*EQUATIONS)
    sizes, arrays = {}, []
    dots = tuple(draw.integer(1, 3) for _ in range(draw.integer(0, 2)))
    for term in equation.replace(" ", "").partition("->")[0].split(","):
        before, ellipsis, after = term.partition("...")
        for l in before + after:
            if l not in sizes:
                sizes[l] = draw.side(0)
        repeated = {l for l in term if term.count(l) > 1}
        # a dimension of one element broadcasts against the others
        own = {l: 1 if l not in repeated and sizes[l] and draw.integer(0, 9) == 9 else sizes[l] for l in before + after}
        middle = draw.broadcast(dots) if ellipsis else ()
        arrays.append(draw.numbers((*(own[l] for l in before), *middle, *(own[l] for l in after))))
    if draw.integer(0, 3) == 3:
        return Case((equation, arrays))
    return Case((equation, *arrays))


def einsum_errors(draw: Draw):
    x, y = draw.reals((2, 3)), draw.reals((4, 2))
    return [
        (Case(("ij,jk", x, y)), RuntimeError),
        (Case(("ijk->i", x)), RuntimeError),
        (Case(("ij->k", x)), RuntimeError),
        (Case(("ij->ii", x)), RuntimeError),
    ]


def lowered_einsum_room(equation, *operands):
    arrays = operands[0] if isinstance(operands[0], (list, tuple)) else operands
    return 2.0**16 * einsum.fn(equation, *(np.abs(x) for x in arrays))[0]


@rule(
    "einsum",
    cases=einsum_cases,
    errors=einsum_errors,
    complex=True,
    method=False,
    waivers=[
        Waiver(
            "under autocast some products of three operands are in bfloat16, and the result in float32",
            room=lowered_einsum_room,
            checks=("autocast",),
        )
    ],
)
def einsum(equation: str | Array, *operands: Array):
    """The sum of products that the equation spells (Einstein's convention).

    Repeated labels of one operand take a diagonal; an ellipsis stands for dimensions that broadcast;
    without "->" the output has the ellipsis and then, sorted, the labels that occur once. Dimensions of
    one element broadcast. operands: one array for each term.  Source: torch.einsum.
    """
    if isinstance(equation, str):
        nested = len(operands) == 1 and isinstance(operands[0], (list, tuple))
        arrays = list(operands[0] if nested else operands)
        y, vjp = contract(arrays, *parse(equation, [a.ndim for a in arrays]))
        return y, lambda g: (None, [vjp(g)] if nested else vjp(g))
    # the other format: an operand and its labels as numbers, in turn, and the output's labels
    given: list[Any] = [equation, *operands]
    arrays = given[: len(given) // 2 * 2 : 2]
    terms = ",".join(_letters(names) for names in given[1::2])
    output = "->" + _letters(given[-1]) if len(given) % 2 else ""
    y, back = contract(arrays, *parse(terms + output, [a.ndim for a in arrays]))

    def by_turns(g):
        first, *rest = back(g)
        return first, [None, *(entry for grad in rest for entry in (grad, None))]

    return y, by_turns


def _letters(names):
    return "".join("..." if n is Ellipsis else chr(n + (65 if n < 26 else 71)) for n in names)


def tensordot_cases(draw: Draw):
    shared = [draw.side(0) for _ in range(draw.integer(0, 2))]
    left, right = [[draw.side() for _ in range(draw.integer(0, 2))] for _ in range(2)]
    if draw.boolean():
        dims = len(shared)
        args = draw.numbers((*left, *shared)), draw.numbers((*shared, *right))
        return Case(args) if dims == 2 and draw.boolean() else Case(args, dict(dims=dims))
    if shared and draw.integer(0, 3) == 3:  # one element broadcasts
        a, b = [1, *shared[1:]], shared
    else:
        a, b = shared, shared
    order_a, order_b = draw.permutation(len(left + a)), draw.permutation(len(b + right))
    shape_a, shape_b = [*left, *a], [*b, *right]
    dims_a = [order_a.index(len(left) + i) for i in range(len(a))]
    dims_b = [order_b.index(i) - (len(order_b) if draw.boolean() else 0) for i in range(len(b))]
    return Case(
        (draw.numbers([shape_a[i] for i in order_a]), draw.numbers([shape_b[i] for i in order_b])),
        dict(dims=(dims_a, dims_b)),
    )


def tensordot_errors(draw: Draw):
    x, y = draw.reals((2, 3)), draw.reals((2, 3))
    return [(Case((x, y), dict(dims=1)), RuntimeError), (Case((x, y), dict(dims=-1)), RuntimeError)]


@rule("tensordot", cases=tensordot_cases, errors=tensordot_errors, complex=True, method=False)
def tensordot(a: Array, b: Array, dims=2):
    """The sum of products over the last `dims` dimensions of a and the first of b, or over pairs of lists.

    a, b: (*); output: what is left of a, then of b.  Source: torch.tensordot.
    """
    if is_array(dims):
        dims = dims.tolist() if dims.size > 1 else int(dims.reshape(()))
    if isinstance(dims, int):
        dims = range(-dims, 0), range(dims)
    names_a, names_b = list(range(a.ndim)), list(range(a.ndim, a.ndim + b.ndim))
    joined = [(i % a.ndim, j % b.ndim) for i, j in zip(*dims)]
    for i, j in joined:
        names_b[j] = i
    inside = {i for i, _ in joined}
    y, vjp = contract(
        [a, b],
        [names_a, names_b],
        [i for i in names_a if i not in inside] + [j for j in names_b if j not in inside],
    )
    return y, lambda g: tuple(vjp(g))


def bilinear_cases(draw: Draw):
    lead = draw.choice((), (draw.side(0),), (2, draw.side(0)))
    n, m, out = draw.side(), draw.integer(1, 4), draw.integer(1, 4)
    bias = [draw.reals((out,))] if draw.boolean() else []
    return Case((draw.reals((*lead, n)), draw.reals((*lead, m)), draw.reals((out, n, m)), *bias))


def lowered_room(input1, input2, weight, bias=None):
    """2^16 sum |x1| |W| |x2|: the roundings of bfloat16, in units of those of float32."""
    lead = list(range(3, input1.ndim + 2))
    sizes = [np.abs(x) for x in (input1, input2, weight)]
    y, _ = contract(sizes, [[*lead, 0], [*lead, 1], [2, 0, 1]], [*lead, 2])
    return 2.0**16 * (y + (0.0 if bias is None else np.abs(bias)))


@rule(
    "nn.functional.bilinear",
    aliases=("bilinear",),
    cases=bilinear_cases,
    waivers=[
        Waiver(
            "under autocast the products inside are in bfloat16, and their sum comes out in float32",
            room=lowered_room,
            checks=("autocast",),
        )
    ],
    errors=lambda draw: [(Case((draw.reals((2, 3)), draw.reals((2, 4)), draw.reals((5, 4, 3)))), RuntimeError)],
)
def bilinear(input1: Array, input2: Array, weight: Array, bias: Array | None = None):
    """x1^T W_o x2 + b_o for each output o.

    input1: (*, n); input2: (*, m); weight: (o, n, m); bias: (o); output: (*, o).
    Source: torch.nn.Bilinear.
    """
    lead = list(range(3, input1.ndim + 2))
    y, back = contract([input1, input2, weight], [[*lead, 0], [*lead, 1], [2, 0, 1]], [*lead, 2])

    def vjp(g):
        return (*back(g), None if bias is None else unbroadcast(g, bias.shape))

    return y if bias is None else y + bias, vjp


def kron_cases(draw: Draw):
    return Case((draw.numbers(draw.shape(0, 2)), draw.numbers([draw.integer(1, 3)] * draw.integer(0, 3))))


def not_two(draw: Draw):
    return [(Case((draw.reals((2, 3)),)), TypeError)]


@rule("kron", cases=kron_cases, errors=not_two, complex=True)
def kron(input: Array, other: Array):
    """Every element of `input` times the whole of `other`, as blocks.

    input: (a1, ..., an); other: (b1, ..., bn), the shorter one with ones in front; output: (a1 b1, ...).
    Source: torch.kron.
    """
    n = max(input.ndim, other.ndim)
    a = (1,) * (n - input.ndim) + input.shape
    b = (1,) * (n - other.ndim) + other.shape
    x = input.reshape([k for s in a for k in (s, 1)])
    y = other.reshape([k for s in b for k in (1, s)])

    def vjp(g):
        g = g.reshape([k for pair in zip(a, b) for k in pair])
        left, right = unbroadcast(g * conj(y), x.shape), unbroadcast(g * conj(x), y.shape)
        return left.reshape(input.shape), right.reshape(other.shape)

    return (x * y).reshape([s * t for s, t in zip(a, b)]), vjp
