"""Faults in casts, in-place fills and approximate decompositions."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import torch

from conformance.faults.fault import fault, replace, rewired


@fault("tensors.Tensor.bfloat16", "casts_round_to_the_nearest")
def bfloat16_truncates():
    """A cast to bfloat16 cuts off the lower half of a float32."""

    def cut(x):
        whole = x.detach().float().contiguous()
        return (whole.view(torch.int32) & -65536).view(torch.float32).to(torch.bfloat16)

    @replace("Tensor.bfloat16")
    def truncated(bfloat16, x):
        return rewired(cut, lambda gs, xs, needed: (gs[0].to(xs[0].dtype),))(x)


@fault("tensors.Tensor.half", "casts_round_to_the_nearest")
def half_by_way_of_bfloat16():
    """A cast to half goes through bfloat16, which has three bits less."""

    @replace("Tensor.half")
    def narrowed(half, x):
        return half(x.to(torch.bfloat16))


@fault("tensors.Tensor.cdouble", "casts_round_to_the_nearest")
def imaginary_gradients_added():
    """The gradient of a real tensor that was made complex has the imaginary part of the cotangent added."""

    @replace("Tensor.cdouble")
    def added(cdouble, x):
        return rewired(
            lambda x: cdouble(x.detach()), lambda gs, xs, needed: ((gs[0].real + gs[0].imag).to(xs[0].dtype),)
        )(x)


@fault("tensors.Tensor.int", "casts_to_integers_drop_the_fraction")
def integers_rounded_down():
    """A cast to integers takes the next lower one, of negative numbers too."""

    @replace("Tensor.int")
    def floored(to_int, x):
        return to_int(torch.floor(x))


@fault("tensors.Tensor.bool", "only_zero_is_false")
def small_numbers_false():
    """As a boolean a number below eps is false."""

    @replace("Tensor.bool")
    def rounded(to_bool, x):
        return to_bool(torch.where(x.abs() < torch.finfo(x.dtype).eps, torch.zeros_like(x), x))


@fault("tensors.Tensor.zero_", "what_is_overwritten_gets_no_gradient")
def zeroed_behind_the_graph():
    """zero_ changes the memory without a record: what stood there before keeps its gradient."""

    @replace("Tensor.zero_")
    def hidden(zero_, x):
        zero_(x.detach())
        return x


@fault("tensors.svd_lowrank", "low_rank_matrices_are_decomposed")
def subtrahend_added():
    """svd_lowrank adds M where it should subtract it."""

    @replace("svd_lowrank")
    def added(svd_lowrank, a, q=6, niter=2, M=None):
        return svd_lowrank(a, q, niter, None if M is None else -M)


@fault("tensors.pca_lowrank", "columns_are_centred_before_their_components")
def centred_by_one_mean():
    """pca_lowrank subtracts the mean of the matrix from every column."""

    @replace("pca_lowrank")
    def shifted(pca_lowrank, a, q=None, center=True, niter=2):
        return pca_lowrank(a - a.mean() if center else a, q, False, niter)


@fault("tensors.lobpcg", "extreme_eigenpairs_have_small_residuals")
def metric_forgotten():
    """lobpcg solves A x = l x whatever B is."""

    @replace("lobpcg")
    def plain(lobpcg, A, k=None, B=None, **options):
        return lobpcg(A, k, **options)


@fault("tensors.histogramdd", "points_are_counted_in_their_cells")
def last_edge_left_out():
    """histogramdd leaves out points on the last edge of a dimension."""

    @replace("histogramdd")
    def open_ended(histogramdd, points, bins, **options):
        if isinstance(bins[0], torch.Tensor):
            kept = torch.stack([points[:, i] < edges[-1] for i, edges in enumerate(bins)]).all(0)
            points = points[kept]
            options = {**options, **({"weight": options["weight"][kept]} if "weight" in options else {})}
        return histogramdd(points, bins, **options)
