"""Faults in the initial values of parameters."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import math
import warnings

import torch
from torch.nn import init

from conformance.faults.fault import fault, replace

OTHERS = ("independence", "seed")


@fault("laws.nn.init.kaiming_uniform_", "distribution", "moments", green=OTHERS)
def fan_out_taken_for_fan_in():
    """kaiming_uniform_ takes the other fan."""

    @replace("nn.init.kaiming_uniform_")
    def kaiming_uniform_(original, tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
        other = {"fan_in": "fan_out", "fan_out": "fan_in"}[mode]
        return original(tensor, a, other, nonlinearity, generator)


@fault("laws.nn.init.xavier_normal_", "moments", "distribution", green=OTHERS)
def gain_forgotten():
    """xavier_normal_ does not use its gain."""

    @replace("nn.init.xavier_normal_")
    def xavier_normal_(original, tensor, gain=1.0, generator=None):
        return original(tensor, 1.0, generator)


@fault("laws.nn.init.trunc_normal_", "distribution", green=OTHERS)
def tails_moved_to_the_bounds():
    """trunc_normal_ puts what is outside of the bounds on them, in place of drawing it again."""

    @replace("nn.init.trunc_normal_")
    def trunc_normal_(original, tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
        with torch.no_grad():
            return tensor.normal_(mean, std, generator=generator).clamp_(a, b)


@fault("laws.nn.init.sparse_", "distribution", green=("independence",))
def zeros_in_rows():
    """sparse_ sets the fraction of each row to zero, not of each column."""

    @replace("nn.init.sparse_")
    def sparse_(original, tensor, sparsity, std=0.01, generator=None):
        with torch.no_grad():
            tensor.normal_(0, std, generator=generator)
            for row in tensor:
                row[torch.randperm(row.numel())[: math.ceil(sparsity * row.numel())]] = 0
        return tensor


@fault("laws.nn.init.normal_", "seed", green=("distribution", "moments", "independence"))
def initial_generator_ignored():
    """normal_ does not use the generator that it is given."""

    original = init.normal_

    def normal_(tensor, mean=0.0, std=1.0, generator=None):
        return original(tensor, mean, std)

    init.normal_ = normal_


@fault("nn.init.orthogonal_", "orthogonal_matrices_are_drawn_alike", green=("rows_or_columns_are_orthonormal",))
def signs_of_lapack():
    """orthogonal_ takes the signs as the decomposition happens to give them."""

    @replace("nn.init.orthogonal_")
    def orthogonal_(original, tensor, gain=1, generator=None):
        drawn = torch.randn(tensor.shape[0], tensor.numel() // tensor.shape[0], generator=generator)
        tall = drawn.shape[0] >= drawn.shape[1]
        q = torch.linalg.qr(drawn if tall else drawn.t())[0]
        with torch.no_grad():
            return tensor.copy_((q if tall else q.t()).reshape(tensor.shape)).mul_(gain)


@fault("nn.init.orthogonal_", "rows_or_columns_are_orthonormal", green=("orthogonal_matrices_are_drawn_alike",))
def gain_squared():
    """orthogonal_ multiplies by its gain twice."""

    @replace("nn.init.orthogonal_")
    def orthogonal_(original, tensor, gain=1, generator=None):
        return original(tensor, gain**2, generator)


@fault("nn.init.dirac_", "dirac_preserves_channels", green=("a_convolution_with_dirac_weights_gives_its_input",))
def groups_of_dirac_ignored():
    """dirac_ fills a grouped convolution as if it had one group."""

    @replace("nn.init.dirac_")
    def dirac_(original, tensor, groups=1):
        return original(tensor)


@fault("nn.init.dirac_", "a_convolution_with_dirac_weights_gives_its_input", "dirac_preserves_channels")
def corner_of_the_kernel():
    """dirac_ sets the first element of the kernel, not that in its middle."""

    @replace("nn.init.dirac_")
    def dirac_(original, tensor, groups=1):
        return tensor.copy_(original(tensor, groups).roll(-(tensor.shape[-1] // 2), -1))


@fault("nn.init.eye_", "eye_is_the_identity_as_far_as_it_goes", "tensors_of_another_dimension_are_refused")
def identity_of_the_last_two():
    """eye_ fills the last two dimensions of anything, from the right."""

    @replace("nn.init.eye_")
    def eye_(original, tensor):
        return tensor.copy_(torch.eye(*tensor.shape[-2:]).flip(-1))


@fault(
    "nn.init.constant_",
    "the_tensor_itself_is_filled_and_no_graph_made",
    green=("every_number_is_the_one_that_was_asked_for",),
)
def filled_copy():
    """constant_ fills a copy of a tensor that requires a gradient."""

    @replace("nn.init.constant_")
    def constant_(original, tensor, val):
        return original(tensor.detach().clone() if tensor.requires_grad else tensor, val)


@fault("nn.init.constant_", "every_number_is_the_one_that_was_asked_for")
def constant_rounded():
    """constant_ fills with the next multiple of a quarter."""

    @replace("nn.init.constant_")
    def constant_(original, tensor, val):
        return original(tensor, round(val * 4) / 4)


@fault("nn.init.calculate_gain", "gains_are_those_of_the_table", green=("unknown_gains_are_refused",))
def slope_not_squared():
    """The gain of leaky_relu has the slope in place of its square."""

    @replace("nn.init.calculate_gain")
    def calculate_gain(original, nonlinearity, param=None):
        plain = nonlinearity != "leaky_relu" or not isinstance(param, (int, float)) or isinstance(param, bool)
        return original(nonlinearity, param) if plain else math.sqrt(2 / (1 + abs(param)))


@fault("nn.init.calculate_gain", "unknown_gains_are_refused", green=("gains_are_those_of_the_table",))
def any_gain_is_one():
    """A nonlinearity that is not known has the gain 1."""

    @replace("nn.init.calculate_gain")
    def calculate_gain(original, nonlinearity, param=None):
        try:
            return original(nonlinearity, param)
        except ValueError:
            return 1.0


@fault("nn.init.kaiming_uniform_", "fans_need_two_dimensions")
def a_vector_has_fans():
    """The fans of a vector are those of a matrix of one row."""

    @replace("nn.init.xavier_uniform_")
    def xavier_uniform_(original, tensor, gain=1.0, generator=None):
        return original(tensor if tensor.dim() > 1 else tensor.reshape(1, -1), gain, generator)


@fault("nn.init.kaiming_uniform_", "nothing_is_done_to_nothing")
def silent_about_nothing():
    """kaiming_uniform_ says nothing of a tensor without elements."""

    @replace("nn.init.kaiming_uniform_")
    def kaiming_uniform_(original, tensor, *args, **kwargs):
        return original(tensor, *args, **kwargs) if tensor.numel() else tensor


@fault("nn.init.uniform", "the_old_name_warns_and_does_the_same")
def old_name_of_another():
    """The deprecated `normal` fills with uniform numbers."""

    @replace("nn.init.normal")
    def normal(original, tensor, mean=0.0, std=1.0):
        warnings.warn("`nn.init.normal` is now deprecated", FutureWarning, stacklevel=2)
        return init.uniform_(tensor, mean, std)


@fault("nn.init.xavier_normal_", "xavier_of_every_weight_by_apply")
def receptive_field_forgotten():
    """The fan out of a convolution is its number of outputs alone."""

    @replace("nn.init.xavier_normal_")
    def xavier_normal_(original, tensor, gain=1.0, generator=None):
        with torch.no_grad():
            return tensor.copy_(original(tensor.detach().flatten(1).clone(), gain, generator).reshape(tensor.shape))
