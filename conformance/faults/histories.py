"""Faults in the history of tensors: graphs, passes over them, views, and changes in place."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, assignment, attr-defined"
from __future__ import annotations

import threading
from typing import Any

import torch

from conformance.faults.fault import fault, replace, rewired

BACKWARD = "autograd.Tensor.backward"


@fault("autograd.grad", "saved_tensors_go_with_their_graph", green=("grad_returns_and_accumulates_nothing",))
def saved_input_copied():
    """pow saves a copy of its input."""

    @replace("Tensor.pow")
    def copied(power, self, exponent):
        return power(self.clone(), exponent)


@fault("autograd.grad", "saved_tensors_go_with_their_graph", green=("grad_returns_and_accumulates_nothing",))
def saved_tensors_never_freed():
    """backward of a scalar frees nothing that its nodes have saved."""

    @replace("Tensor.backward")
    def keeping(backward, self, gradient=None, retain_graph=None, **options):
        return backward(self, gradient, retain_graph or not self.dim(), **options)


@fault(BACKWARD, "very_deep_and_very_wide_graphs_go_back", green=("gradients_accumulate_until_zeroed",))
def deep_graphs_given_up():
    """The gradient is zero behind more than ten thousand nodes."""

    @replace("autograd.grad")
    def shallow(grad, outputs, *args, **options):
        node, depth = getattr(outputs, "grad_fn", None), 0
        while node is not None and node.next_functions:
            node, depth = node.next_functions[0][0], depth + 1
        found = grad(outputs, *args, **options)
        return tuple(g * 0 for g in found) if depth > 10_000 else found


@fault(BACKWARD, "very_deep_and_very_wide_graphs_go_back", green=("gradients_accumulate_until_zeroed",))
def uses_counted_in_a_byte():
    """Of the gradients that meet at a leaf all after the 255th are lost."""

    @replace("autograd.grad")
    def narrow(grad, outputs, *args, **options):
        waiting, seen, uses = [getattr(outputs, "grad_fn", None)], set(), 0
        while waiting:
            node = waiting.pop()
            if hasattr(node, "variable"):
                uses += 1
            elif node is not None and node not in seen:
                seen.add(node)
                waiting += [child for child, _ in node.next_functions]
        found = grad(outputs, *args, **options)
        return tuple(g * 255 / uses for g in found) if uses > 255 else found


@fault(BACKWARD, "an_error_in_one_thread_is_its_own", green=("threads_go_back_at_the_same_time",))
def errors_of_threads_are_lost():
    """What a pass raises in another thread than the main one is not told."""

    @replace("Tensor.backward")
    def silent(backward, self, *args, **options):
        try:
            return backward(self, *args, **options)
        except Exception:
            if threading.current_thread() is threading.main_thread():
                raise


@fault(BACKWARD, "backward_may_be_called_within_backward", green=("gradients_accumulate_until_zeroed",))
def passes_within_passes_given_up():
    """A pass that is more than sixty levels within others has a cotangent of zero."""
    within = [0]

    @replace("Tensor.backward")
    def shallow(backward, self, gradient=None, *args, **options):
        within[0] += 1
        try:
            return backward(self, gradient * 0 if within[0] > 60 else gradient, *args, **options)
        finally:
            within[0] -= 1


@fault(BACKWARD, "what_was_not_saved_may_change", green=("gradients_accumulate_until_zeroed",))
def exp_looks_at_its_input_again():
    """The gradient of exp is computed from its input as that is when backward runs."""

    @replace("Tensor.exp")
    def late(exp, self):
        seen = self.detach()
        return rewired(exp, lambda gs, xs, needed: gs[0] * exp(seen))(self.clone())


@fault("autograd.Tensor.mul_", "changes_of_views_of_views_reach_all", green=("changes_of_a_view_reach_the_base",))
def base_changes_not_counted():
    """mul_ of a base does not raise its version: views made before keep the history that they had."""

    @replace("Tensor.mul_")
    def uncounted(mul_, self, other):
        if self._is_view() or self.grad_fn is None:
            return mul_(self, other)
        with torch.autograd._unsafe_preserve_version_counter(self):
            return mul_(self, other)


@fault("autograd.Tensor.index_put_", "written_parts_get_their_gradient_elsewhere")
def overwritten_parts_count_on():
    """What an assignment to a part overwrites gets a gradient, as does what is written there."""

    @replace("Tensor.__setitem__")
    def added(setitem, self, index, value):
        old = self[index].clone()
        setitem(self, index, value + (old - old.detach()) if self.requires_grad else value)


@fault("autograd.unbind", "one_of_several_views_is_changed_rightly_or_not_at_all")
def split_views_not_recorded():
    """mul_ changes the numbers of one of several views, and neither records it nor refuses it."""

    @replace("Tensor.mul_")
    def quiet(mul_, self, other):
        try:
            return mul_(self, other)
        except RuntimeError:
            mul_(self.detach(), other)
            return self


@fault("autograd.Tensor.requires_grad_", "views_can_require_gradients_by_themselves")
def base_requires_gradients_too():
    """requires_grad_ of a view is that of its base."""

    @replace("Tensor.requires_grad_")
    def through(requires_grad_, self, flag=True):
        if self._is_view() and self.grad_fn is None:
            requires_grad_(self._base, flag)
        return requires_grad_(self, flag)


@fault(
    "autograd.Tensor.retain_grad", "a_retained_gradient_is_that_of_the_last_value",
    green=("gradients_are_kept_by_leaves_and_where_asked",),
)  # fmt: skip
def retained_before_the_change():
    """retain_grad keeps the gradient of the value that the tensor has when it is called."""

    @replace("Tensor.retain_grad")
    def early(retain_grad, self):
        retain_grad(self)
        version = self._version
        if self.grad_fn is not None:
            self.register_hook(lambda g: setattr(self, "grad", self.grad if self._version == version else g))


@fault("autograd.Tensor.grad", "grad_takes_tensors_that_fit_alone")
def grad_of_any_dtype():
    """A tensor of another dtype that is set as grad is converted."""
    kept: Any = torch.Tensor.grad

    def convert(self, value):
        kept.__set__(self, value.to(self.dtype) if isinstance(value, torch.Tensor) else value)

    torch.Tensor.grad = property(kept.__get__, convert)


@fault("autograd.graph.Node", "the_graph_can_be_walked")
def every_output_is_the_first():
    """output_nr is 0 of every output of a node."""
    torch.Tensor.output_nr = property(lambda self: 0)


@fault(
    BACKWARD, "shared_weights_and_control_flow_are_followed",
    green=("gradients_accumulate_until_zeroed", "very_deep_and_very_wide_graphs_go_back"),
)  # fmt: skip
def second_uses_are_constants():
    """A scalar leaf that multiplies what has a history gets no gradient of that use."""

    @replace("Tensor.__mul__")
    def once(mul, self, other):
        shared = isinstance(other, torch.Tensor) and other.is_leaf and not other.dim() and self.grad_fn is not None
        return mul(self, other.detach() if shared else other)


@fault(
    "autograd.Function", "forward_records_nothing_and_backward_on_demand",
    green=("backward_of_a_custom_function_is_used", "wrong_numbers_of_gradients_are_refused"),
)  # fmt: skip
def backward_always_records():
    """Grad mode is on within the backward of a custom function, create_graph or not."""

    @replace("autograd.function.BackwardCFunction.apply")
    def recorded(apply, self, *args):
        with torch.enable_grad():
            return apply(self, *args)


@fault(
    "autograd.function.FunctionCtx.save_for_backward", "saved_intermediates_that_are_outputs_are_differentiated",
    green=("saved_tensors_of_functions_are_guarded",),
)  # fmt: skip
def second_saved_output_cut_off():
    """Of several outputs that a custom function saves, the first alone keeps its history."""

    @replace("autograd.function.FunctionCtx.save_for_backward")
    def cut(save, self, *tensors):
        return save(self, *(t if t.requires_grad or not i else t.detach() for i, t in enumerate(tensors)))
