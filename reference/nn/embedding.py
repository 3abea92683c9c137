"""Tables of vectors that are looked up by number."""

from __future__ import annotations

from reference.draw import Draw
from reference.laws import normal
from reference.nn.functional import rule_of
from reference.nn.layer import Described, LayerCase, Parameter, layer
from reference.ops.embedding import shorten
from reference.rule import is_inexact

BAG = "nn.functional.embedding_bag"


def bounded(draw: Draw):
    """A bound of the rows' norms, or none."""
    return draw.choice({}, {}, dict(max_norm=0.5), dict(max_norm=1.0, norm_type=1.0))


def renormed(tape, weight, index, max_norm, norm_type):
    """The table with the rows that are named shortened to max_norm: torch changes it apart from its gradients."""
    if max_norm is None:
        return weight
    table = shortened(weight.value.real, index, max_norm, norm_type)
    return tape.apply("add", weight, table - weight.value.real)


def shortened(table, index, max_norm, norm_type):
    table = table.copy()
    shorten(table, index, max_norm, norm_type)
    return table


def parameters_of(rows, width, padding_idx):
    return {"weight": Parameter((rows, width), normal(0.0, 1.0), padding_idx)}


def after_of(max_norm, norm_type):
    """What a call leaves of the table."""
    if max_norm is None:
        return None
    return lambda values, index, *rest: {"weight": shortened(values["weight"], index, max_norm, norm_type)}


def embedding_cases(draw: Draw) -> LayerCase:
    case = rule_of("nn.functional.embedding").cases(draw)
    index, weight = sorted(case.args, key=is_inexact)  # in the old order the table comes first
    return LayerCase(weight.shape, {**case.kwargs, **bounded(draw)}, (index,))


@layer("nn.Embedding", cases=embedding_cases)
def embedding(
    num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
    sparse=False, _weight=None, _freeze=False, device=None, dtype=None,
):  # fmt: skip
    """The rows of the table that the input names; the table is standard normal, its row padding_idx zero.

    That row has no gradient; with scale_grad_by_freq the gradient of a row is divided by how often it is named.
    With max_norm a call first shortens the rows that it names to it, in the table itself.
    input: (*) integers; output: (*, embedding_dim).  Source: torch.nn.Embedding.
    """

    def forward(tape, p, training, index):
        weight = renormed(tape, p["weight"], index.value, max_norm, norm_type)
        return tape.apply("nn.functional.embedding", index, weight, padding_idx, scale_grad_by_freq=scale_grad_by_freq)

    parameters = parameters_of(num_embeddings, embedding_dim, padding_idx)
    return Described(parameters, forward, after=after_of(max_norm, norm_type))


def bag_cases(draw: Draw) -> LayerCase:
    case = rule_of(BAG).cases(draw)
    index, weight = sorted(case.args, key=is_inexact)  # in the old order the table comes first
    options = dict(case.kwargs)
    given = (options.pop("offsets", None), options.pop("per_sample_weights", None))
    inputs = (index, *given) if given[1] is not None else (index, given[0]) if given[0] is not None else (index,)
    # rows that are shortened to one length tie when they are rounded: then any of them may be the greatest
    bound = draw.choice({}, dict(max_norm=64.0)) if options["mode"] == "max" else bounded(draw)
    return LayerCase(weight.shape, {**options, **bound}, inputs)


@layer("nn.EmbeddingBag", cases=bag_cases)
def embedding_bag(
    num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean", sparse=False,
    _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None,
):  # fmt: skip
    """The sum, mean or maximum of the rows that each bag names; the table begins, and is shortened, as in Embedding.

    input: (B, N), or (N) with offsets (B) or (B + 1); per_sample_weights: as input; output: (B, embedding_dim).
    Source: torch.nn.EmbeddingBag.
    """

    def forward(tape, p, training, index, offsets=None, per_sample_weights=None):
        weight = renormed(tape, p["weight"], index.value, max_norm, norm_type)
        return tape.apply(
            BAG, index, weight, offsets, scale_grad_by_freq=scale_grad_by_freq, mode=mode,
            per_sample_weights=per_sample_weights, include_last_offset=include_last_offset, padding_idx=padding_idx,
        )  # fmt: skip

    parameters = parameters_of(num_embeddings, embedding_dim, padding_idx)
    return Described(parameters, forward, after=after_of(max_norm, norm_type))
