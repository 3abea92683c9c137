"""Faults in what torch.nn.utils does to weights: norms, parametrizations, orthogonal matrices, pruning."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
from __future__ import annotations

import sys

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, spectral_norm, weight_norm

from conformance.faults.fault import fault, replace

OLD_WEIGHT, NEW_WEIGHT = "nn.utils.weight_norm", "nn.utils.parametrizations.weight_norm"
OLD_SPECTRAL, NEW_SPECTRAL = "nn.utils.spectral_norm", "nn.utils.parametrizations.spectral_norm"
FIRST = "magnitude_and_direction_take_the_place_of_the_weight"
THROUGH = "the_gradient_passes_through_the_norm"


def _hook(function, name):
    """The class behind torch.nn.utils.weight_norm or spectral_norm, whose module has the name of the function."""
    return getattr(sys.modules[function.__module__], name)


@fault(OLD_WEIGHT, FIRST, green=("a_weight_is_normed_once",))
def norm_over_everything():
    """dim is not used: the norm is that of the whole weight."""

    @replace(OLD_WEIGHT)
    def normed(original, module, name="weight", dim=0):
        return original(module, name, None)


@fault(OLD_WEIGHT, "gradients_pass_to_magnitude_and_direction", green=(FIRST,))
def norm_taken_as_constant():
    """The gradient of the direction takes the norm as a constant."""

    def compute(self, module):
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / torch.norm_except_dim(v.detach(), 2, self.dim))

    _hook(weight_norm, "WeightNorm").compute_weight = compute


@fault(OLD_WEIGHT, "the_hook_computes_the_weight_before_every_forward", green=(FIRST,))
def weight_computed_once():
    """The weight is computed when the norm is applied, and not before a forward."""
    _hook(weight_norm, "WeightNorm").__call__ = lambda self, module, inputs: None


@fault(OLD_WEIGHT, "a_weight_is_normed_once", green=(FIRST,))
def second_norm_ignored():
    """A second norm is passed over in silence."""

    @replace(OLD_WEIGHT)
    def normed(original, module, name="weight", dim=0):
        return module if hasattr(module, name + "_g") else original(module, name, dim)


@fault(NEW_WEIGHT, "the_parametrization_has_magnitude_and_direction")
def magnitude_without_gradient():
    """The magnitude gets half of its gradient."""
    original = parametrizations._WeightNorm.forward

    def forward(self, g, v):
        return original(self, (g + g.detach()) / 2, v)

    parametrizations._WeightNorm.forward = forward  # type: ignore[method-assign]


@fault(
    NEW_WEIGHT,
    "the_parametrization_loads_what_the_hook_has_saved",
    green=("the_parametrization_has_magnitude_and_direction",),
)
def old_state_exchanged():
    """A state_dict of the hook is loaded with its direction's sign turned."""

    @replace(NEW_WEIGHT)
    def normed(original, module, name="weight", dim=0):
        made = original(module, name, dim)
        made._register_load_state_dict_pre_hook(
            lambda state, prefix, *rest: state.update({k: -v for k, v in state.items() if k.endswith("weight_v")})
        )
        # before the hook that renames
        made._load_state_dict_pre_hooks.move_to_end(next(reversed(made._load_state_dict_pre_hooks)), last=False)
        return made


@fault(
    OLD_SPECTRAL,
    "the_weight_has_the_spectral_norm_one",
    "training_iterates_and_eval_does_not",
    green=("transposed_convolutions_have_their_outputs_second",),
)
def one_iteration_for_many():
    """n_power_iterations is not used: there is one a forward."""

    @replace(OLD_SPECTRAL)
    def normed(original, module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
        return original(module, name, 1, eps, dim)


@fault(NEW_SPECTRAL, THROUGH, green=("the_weight_has_the_spectral_norm_one", "training_iterates_and_eval_does_not"))
def sigma_taken_as_constant():
    """The gradient takes the largest singular value as a constant."""
    original = parametrizations._SpectralNorm.forward

    def forward(self, weight):
        out = original(self, weight)
        return out.detach() + (weight - weight.detach()) * (out.detach() / weight.detach())

    parametrizations._SpectralNorm.forward = forward  # type: ignore[method-assign]


@fault(NEW_SPECTRAL, "training_iterates_and_eval_does_not", green=("the_weight_has_the_spectral_norm_one",))
def iterates_in_eval():
    """The power iteration goes on in eval."""
    original = parametrizations._SpectralNorm.forward

    def forward(self, weight):
        self.training = True
        return original(self, weight)

    parametrizations._SpectralNorm.forward = forward  # type: ignore[method-assign]


@fault(OLD_SPECTRAL, "the_norm_can_be_removed", green=("the_weight_has_the_spectral_norm_one",))
def original_left():
    """A removal leaves the original weight, not the normed one."""
    hook = _hook(spectral_norm, "SpectralNorm")
    original = hook.remove

    def remove(self, module):
        kept = module.weight_orig.detach().clone()
        original(self, module)
        module.weight.data.copy_(kept)

    hook.remove = remove


@fault(
    NEW_SPECTRAL, "transposed_convolutions_have_their_outputs_second", green=("the_weight_has_the_spectral_norm_one",)
)
def outputs_first_always():
    """dim is 0 for transposed convolutions too."""

    @replace(NEW_SPECTRAL)
    def normed(original, module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
        return original(module, name, n_power_iterations, eps, dim or 0)


@fault(NEW_SPECTRAL, "a_norm_is_loaded_and_removed_as_it_is", green=("the_weight_has_the_spectral_norm_one",))
def vectors_not_saved():
    """One of the vectors is not in the state_dict."""

    @replace(NEW_SPECTRAL)
    def normed(original, module, *args, **kwargs):
        made = original(module, *args, **kwargs)
        for p in made.parametrizations.weight:
            p._buffers["_v"] = p._v + 0.25
            p._non_persistent_buffers_set.add("_v")
        made._register_load_state_dict_pre_hook(lambda *a: None)
        return made


@fault(NEW_SPECTRAL, "a_vector_is_divided_by_its_length", green=("the_weight_has_the_spectral_norm_one",))
def vector_divided_by_its_largest():
    """A vector is divided by its largest element."""
    original = parametrizations._SpectralNorm.forward

    def forward(self, weight):
        return weight / weight.abs().max() if weight.dim() == 1 else original(self, weight)

    parametrizations._SpectralNorm.forward = forward  # type: ignore[method-assign]


ORTHOGONAL = "nn.utils.parametrizations.orthogonal"


def _orthogonal(change):
    """Let change(self, X) see the original before the map does."""
    original = parametrizations._Orthogonal.forward

    def forward(self, X):
        return change(self, X, lambda x: original(self, x))

    parametrizations._Orthogonal.forward = forward  # type: ignore[method-assign]


@fault(ORTHOGONAL, "the_weight_is_orthogonal", green=("what_cannot_be_orthogonal_is_refused",))
def nearly_orthogonal():
    """The matrix is off by a thousandth."""
    _orthogonal(lambda self, x, q: q(x) * 1.001)


@fault(ORTHOGONAL, "complex_weights_are_unitary", green=("the_weight_is_orthogonal",))
def complex_column_too_long():
    """The last column of a complex matrix is too long by 5e-5."""
    _orthogonal(lambda self, x, q: q(x) if not x.is_complex() else q(x) * torch.tensor([1.0, 1.0 + 1e-2j]))


@fault(ORTHOGONAL, "an_orthogonal_weight_keeps_its_value", green=("the_weight_is_orthogonal",))
def first_value_turned():
    """The first column begins with the other sign."""
    _orthogonal(lambda self, x, q: torch.cat([-q(x)[..., :1], q(x)[..., 1:]], -1))


@fault(
    ORTHOGONAL,
    "gradients_are_those_of_a_rotation",
    green=("the_weight_is_orthogonal", "an_orthogonal_weight_keeps_its_value"),
)
def upper_triangle_has_gradient():
    """The gradient of the original is scaled by a half."""
    _orthogonal(lambda self, x, q: q((x + x.detach()) / 2))


@fault(ORTHOGONAL, "matrices_can_be_assigned", green=("the_weight_is_orthogonal",))
def any_map_is_assigned():
    """What has no inverse takes an assignment in silence."""
    original = parametrizations._Orthogonal.right_inverse

    def right_inverse(self, Q):
        try:
            return original(self, Q)
        except NotImplementedError:
            return Q

    parametrizations._Orthogonal.right_inverse = right_inverse  # type: ignore[method-assign, assignment]


@fault(ORTHOGONAL, "what_cannot_be_orthogonal_is_refused", green=("the_weight_is_orthogonal",))
def unknown_map_is_the_default():
    """A map that there is not stands for the default."""

    @replace(ORTHOGONAL)
    def orthogonal(original, module, name="weight", orthogonal_map=None, *, use_trivialization=True):
        known = orthogonal_map if orthogonal_map in ("matrix_exp", "cayley", "householder") else None
        return original(module, name, known, use_trivialization=use_trivialization)


REGISTER = "nn.utils.parametrize.register_parametrization"


@fault(REGISTER, "the_attribute_is_the_parametrization_of_the_original", "state_and_copies_are_those_of_the_original")
def value_frozen():
    """The value is computed once, at registration."""
    kept: dict[int, torch.Tensor] = {}
    original = parametrize.ParametrizationList.forward

    def forward(self):
        return kept.setdefault(id(self), original(self))

    parametrize.ParametrizationList.forward = forward  # type: ignore[method-assign]


@fault(REGISTER, "several_are_applied_in_their_order", green=("the_attribute_is_the_parametrization_of_the_original",))
def last_applied_first():
    """Of several parametrizations the last is applied first."""
    original = parametrize.ParametrizationList.forward

    def forward(self):
        if len(self) < 2:
            return original(self)
        x = self.original
        for p in reversed(list(self)):
            x = p(x)
        return x

    parametrize.ParametrizationList.forward = forward  # type: ignore[method-assign]


@fault(REGISTER, "an_assignment_goes_through_the_inverses", green=("several_are_applied_in_their_order",))
def new_parameter_assigned():
    """An assignment makes a new parameter of the original."""
    original = parametrize.ParametrizationList.right_inverse

    def right_inverse(self, value):
        original(self, value)
        self.original = nn.Parameter(self.original.detach().clone())

    parametrize.ParametrizationList.right_inverse = right_inverse  # type: ignore[method-assign, assignment]
