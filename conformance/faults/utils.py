"""Faults in torch.nn.utils: clipping, vectors, fusing."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import copy
import math

import torch
from torch import nn
from torch.nn import utils

from conformance.faults.fault import fault, replace

CLIP = "nn.utils.clip_grad_norm_"


def _gradients(parameters):
    return [
        p.grad for p in ([parameters] if isinstance(parameters, torch.Tensor) else parameters) if p.grad is not None
    ]


@fault(CLIP, "gradients_are_scaled_to_the_norm", green=("without_gradients_the_norm_is_zero",))
def each_gradient_clipped_by_itself():
    """Every gradient is clipped by its own norm."""

    @replace(CLIP)
    def clip_grad_norm_(original, parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        total = utils.get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
        for p in parameters:
            original([p], max_norm, norm_type, error_if_nonfinite, foreach)
        return total


@fault(CLIP, "small_gradients_are_left_as_they_are", green=("without_gradients_the_norm_is_zero",))
def gradients_scaled_up():
    """Gradients of a norm below max_norm are scaled up to it."""

    @replace(CLIP)
    def clip_grad_norm_(original, parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        total = original(parameters, math.inf, norm_type, error_if_nonfinite, foreach)
        for g in _gradients(parameters):
            g.mul_(max_norm / (total + 1e-6))
        return total


@fault(CLIP, "parameters_come_in_any_form", green=("small_gradients_are_left_as_they_are",))
def generator_exhausted():
    """Parameters are gone through twice, which an iterator does not allow."""

    @replace(CLIP)
    def clip_grad_norm_(original, parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
        total = utils.get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
        original(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
        return total


@fault(CLIP, "without_gradients_the_norm_is_zero", green=("gradients_are_scaled_to_the_norm",))
def norm_of_nothing_is_not_finite():
    """Without a gradient the total norm is nan."""

    @replace(CLIP)
    def clip_grad_norm_(original, parameters, *args, **kwargs):
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        return original(parameters, *args, **kwargs) if _gradients(parameters) else torch.tensor(math.nan)


@fault(CLIP, "a_norm_that_is_not_finite_is_an_error_if_asked_for", green=("gradients_are_scaled_to_the_norm",))
def raised_after_clipping():
    """error_if_nonfinite raises when gradients have been scaled already."""

    @replace(CLIP)
    def clip_grad_norm_(original, parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
        total = original(parameters, max_norm, norm_type, False, foreach)
        if error_if_nonfinite and not total.isfinite():
            raise RuntimeError("the total norm is non-finite")
        return total


@fault(CLIP, "gradients_of_several_dtypes_have_one_norm", green=("gradients_are_scaled_to_the_norm",))
def norm_by_dtype():
    """Gradients are clipped by the norm of those of their dtype."""

    @replace(CLIP)
    def clip_grad_norm_(original, parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        total = original(parameters, math.inf, norm_type, error_if_nonfinite, foreach)
        for dtype in {p.dtype for p in parameters}:
            original([p for p in parameters if p.dtype == dtype], max_norm, norm_type, False, foreach)
        return total


@fault(CLIP, "clipping_leaves_no_graph", green=("small_gradients_are_left_as_they_are",))
def norm_with_a_graph():
    """The total norm has a graph where the gradients have one."""

    @replace(CLIP)
    def clip_grad_norm_(original, parameters, *args, **kwargs):
        parameters = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
        return original(parameters, *args, **kwargs) + sum(g.sum() * 0 for g in _gradients(parameters))


@fault("nn.utils.get_total_norm", "the_two_halves_are_the_whole")
def sum_of_norms():
    """The total norm is the sum of the norms."""

    @replace("nn.utils.get_total_norm")
    def get_total_norm(original, tensors, *args, **kwargs):
        return sum((original([t], *args, **kwargs) for t in tensors), torch.zeros(()))


@fault("nn.utils.clip_grad_value_", "values_are_clipped_to_the_range")
def clipped_from_above_alone():
    """Values are clipped from above, and from below at twice the value."""

    @replace("nn.utils.clip_grad_value_")
    def clip_grad_value_(original, parameters, clip_value, foreach=None):
        for g in _gradients(parameters):
            g.clamp_(-2 * clip_value, clip_value)


@fault("nn.utils.clip_grad_norm", "the_name_without_an_underscore_warns")
def silent_old_name():
    """clip_grad_norm does not warn."""
    utils.clip_grad_norm = utils.clip_grad_norm_  # type: ignore[assignment]


@fault("nn.utils.parameters_to_vector", "parameters_are_laid_out_one_after_another")
def vector_cut_off():
    """The vector is cut off from the graph."""

    @replace("nn.utils.parameters_to_vector")
    def parameters_to_vector(original, parameters):
        return original(p.detach() for p in parameters).requires_grad_()


@fault("nn.utils.vector_to_parameters", "slices_of_a_vector_become_parameters")
def slices_in_reverse():
    """The slices are dealt out from the last parameter to the first."""

    @replace("nn.utils.vector_to_parameters")
    def vector_to_parameters(original, vec, parameters):
        original(vec, reversed(list(parameters)))


@fault(
    "nn.utils.skip_init",
    "a_module_is_made_without_initial_values",
    green=("what_cannot_be_made_without_initial_values_is_refused",),
)
def initial_values_not_skipped():
    """The module is made as ever, with initial values."""

    @replace("nn.utils.skip_init")
    def skip_init(original, cls, *args, **kwargs):
        original(cls, *args, **kwargs)
        return cls(*args, **kwargs)


@fault(
    "nn.utils.skip_init",
    "what_cannot_be_made_without_initial_values_is_refused",
    green=("a_module_is_made_without_initial_values",),
)
def anything_is_made():
    """A class without a device is called all the same."""

    @replace("nn.utils.skip_init")
    def skip_init(original, cls, *args, **kwargs):
        try:
            return original(cls, *args, **kwargs)
        except RuntimeError:
            return cls(*args, **kwargs)


@fault("nn.utils.convert_conv2d_weight_memory_format", "weights_of_2d_convolutions_change_their_strides")
def children_not_converted():
    """Convolutions inside containers inside the module are left out."""

    @replace("nn.utils.convert_conv2d_weight_memory_format")
    def convert(original, module, memory_format):
        for child in module.children():
            if not isinstance(child, nn.Sequential):
                original(child, memory_format)
        return module


@fault("nn.utils.convert_conv3d_weight_memory_format", "weights_of_3d_convolutions_change_their_strides")
def values_turned_too():
    """The values of a weight are turned with its strides."""

    @replace("nn.utils.convert_conv3d_weight_memory_format")
    def convert(original, module, memory_format):
        original(module, memory_format)
        with torch.no_grad():
            module[0].weight.copy_(module[0].weight.flip(-1))
        return module


@fault(
    "nn.utils.fuse_conv_bn_eval", "a_convolution_takes_up_the_normalization", "the_fused_module_is_one_after_the_other"
)
def eps_forgotten():
    """The fused weights are divided by the standard deviation without eps."""

    @replace("nn.utils.fuse_conv_bn_eval")
    def fuse_conv_bn_eval(original, conv, bn, transpose=False):
        bn = copy.deepcopy(bn)
        bn.eps = 0.0
        return original(conv, bn, transpose)


@fault(
    "nn.utils.fuse_conv_bn_eval",
    "the_fused_module_is_one_after_the_other",
    green=("a_convolution_takes_up_the_normalization",),
)
def fused_in_place():
    """A transposed convolution takes up the normalization itself, in place of a copy."""

    @replace("nn.utils.fuse_conv_bn_eval")
    def fuse_conv_bn_eval(original, conv, bn, transpose=False):
        fused = original(conv, bn, transpose)
        if transpose:
            conv.weight, conv.bias = fused.weight, fused.bias
        return fused


@fault("nn.utils.fuse_linear_bn_eval", "a_linear_layer_takes_up_the_normalization")
def bias_not_divided():
    """The bias is not divided by the standard deviation."""

    @replace("nn.utils.fuse_linear_bn_eval")
    def fuse_linear_bn_eval(original, linear, bn):
        fused = original(linear, bn)
        with torch.no_grad():
            shift = 0.0 if linear.bias is None else linear.bias
            fused.bias.copy_((shift - bn.running_mean) * bn.weight + bn.bias)
        return fused


@fault(
    "nn.utils.fuse_conv_bn_eval", "only_modules_in_eval_are_fused", green=("a_convolution_takes_up_the_normalization",)
)
def fused_in_training():
    """Modules in training are put in eval and fused."""

    @replace("nn.utils.fuse_conv_bn_eval")
    def fuse_conv_bn_eval(original, conv, bn, transpose=False):
        return original(conv.eval(), bn.eval(), transpose)
