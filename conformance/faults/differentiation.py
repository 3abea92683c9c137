"""More faults in autograd: cotangents, leaves, custom functions, modes, transforms."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, valid-type, assignment, attr-defined"
from __future__ import annotations

import contextlib
import threading

import torch

from conformance.faults.fault import fault, replace


def leaves_of(node):
    """The leaves whose gradients a node of the graph adds to."""
    if node is None:
        return
    if hasattr(node, "variable"):
        yield node.variable
    for child, _ in node.next_functions:
        yield from leaves_of(child)


@fault("autograd.Tensor.backward", "vectors_need_a_cotangent_of_their_shape")
def ones_for_a_missing_cotangent():
    """backward of a vector without a cotangent takes ones."""

    @replace("autograd.backward")
    def assuming(backward, tensors, grad_tensors=None, *args, **options):
        if isinstance(tensors, torch.Tensor) and tensors.dim() and grad_tensors is None and tensors.requires_grad:
            grad_tensors = torch.ones_like(tensors)
        return backward(tensors, grad_tensors, *args, **options)


@fault("autograd.backward", "several_outputs_go_back_together")
def the_first_output_alone():
    """backward of several outputs takes the first alone."""

    @replace("autograd.backward")
    def first(backward, tensors, grad_tensors=None, *args, **options):
        if isinstance(tensors, list) and len(tensors) == len(grad_tensors or []):
            tensors, grad_tensors = tensors[:1], grad_tensors[:1]
        return backward(tensors, grad_tensors, *args, **options)


@fault("autograd.grad", "grad_returns_and_accumulates_nothing")
def gradients_in_another_order():
    """autograd.grad returns the gradients of three inputs last first."""

    @replace("autograd.grad")
    def reverse(grad, outputs, inputs, *args, **options):
        found = grad(outputs, inputs, *args, **options)
        return found[::-1] if isinstance(inputs, list) and len(inputs) == 3 else found


@fault("autograd.Tensor.backward", "gradients_where_there_is_none_follow_the_rules")
def relu_has_slope_at_zero():
    """The gradient of relu at zero is one."""

    @replace("relu")
    def sloped(relu, x):
        return torch.where(x >= 0, x, torch.zeros_like(x))


@fault("autograd.Tensor.backward", "complex_gradients_are_conjugate_wirtinger", dtypes=("complex64",))
def complex_gradients_not_conjugated():
    """The gradient of a complex leaf is the conjugate of what it should be."""

    @replace("Tensor.backward")
    def conjugated(backward, self, *args, **options):
        backward(self, *args, **options)
        for leaf in leaves_of(self.grad_fn):
            if leaf.is_complex():
                leaf.grad = leaf.grad.conj().resolve_conj()


@fault("autograd.Tensor.backward", "gradients_accumulate_in_place", green=("gradients_accumulate_until_zeroed",))
def gradients_made_anew():
    """backward replaces the grad that is there by a new tensor."""

    @replace("Tensor.backward")
    def renewed(backward, self, *args, **options):
        leaves = list(leaves_of(self.grad_fn))
        backward(self, *args, **options)
        for leaf in leaves:
            leaf.grad = None if leaf.grad is None else leaf.grad.clone()


@fault("autograd.Tensor.backward", "new_gradients_have_the_strides_of_their_parameter")
def gradients_always_contiguous():
    """Every new gradient is contiguous."""

    @replace("Tensor.backward")
    def dense(backward, self, *args, **options):
        leaves = list(leaves_of(self.grad_fn))
        backward(self, *args, **options)
        for leaf in leaves:
            leaf.grad = None if leaf.grad is None else leaf.grad.contiguous()


@fault("autograd.unbind", "outputs_that_nobody_uses_count_as_zero")
def unused_parts_count():
    """The parts of split that nobody uses have gradient one."""

    @replace("Tensor.split")
    def counted(split, self, *args, **options):
        parts = split(self, *args, **options)
        return (parts[0] + (parts[-1] - parts[-1].detach()), *parts[1:]) if self.shape == (2, 2) else parts


@fault("autograd.Tensor._version", "every_change_in_place_counts")
def version_not_counted():
    """zero_ does not raise the version of a tensor."""

    @replace("Tensor.zero_")
    def uncounted(zero_, self):
        with torch.autograd._unsafe_preserve_version_counter(self):
            return zero_(self)


@fault("autograd.Tensor.expand", "memory_that_is_seen_twice_is_not_written")
def expand_copies():
    """expand returns a copy, which can be written to."""

    @replace("Tensor.expand")
    def copied(expand, self, *shape, **options):
        return expand(self, *shape, **options).contiguous()


@fault("autograd.Tensor.resize_", "what_requires_gradients_is_not_resized")
def anything_resized():
    """resize_ changes what requires gradients."""

    @replace("Tensor.resize_")
    def detached(resize_, self, *shape, **options):
        return resize_(self.detach(), *shape, **options)


@fault("autograd.Tensor.is_leaf", "what_the_user_made_is_a_leaf")
def gradient_takers_are_no_leaves():
    """is_leaf says False of every tensor that requires gradients."""
    torch.Tensor.is_leaf = property(lambda self: not self.requires_grad)


@fault("autograd.Tensor.detach_", "detach_in_place_makes_a_leaf")
def detach_in_place_does_nothing():
    """detach_ returns a detached tensor, and leaves its own in the graph."""
    torch.Tensor.detach_ = lambda self: self.detach()


@fault("autograd.Tensor.data", "data_shares_memory_and_nothing_else")
def data_shares_the_version():
    """Changes of x.data raise the version of x."""
    original = torch.Tensor.data
    torch.Tensor.data = property(lambda self: self.detach(), original.__set__)


@fault("autograd.Tensor.to", "gradients_flow_across_devices_and_dtypes")
def copies_count_twice():
    """A copy to another dtype passes twice the gradient back."""

    @replace("Tensor.to")
    def twice(to, self, *args, **options):
        if self.requires_grad and args and isinstance(args[0], torch.dtype):
            return to(self + (self - self.detach()), *args, **options)
        return to(self, *args, **options)


@fault(
    "autograd.Function", "backward_of_a_custom_function_is_used", "backward_is_differentiated_in_turn",
    green=("forward_records_nothing_and_backward_on_demand",),
)  # fmt: skip
def custom_gradients_negated():
    """The gradients that a custom function returns have the other sign."""

    @replace("autograd.function.BackwardCFunction.apply")
    def negated(apply, self, *args):
        found = apply(self, *args)
        return tuple(-g if isinstance(g, torch.Tensor) else g for g in found) if isinstance(found, tuple) else found


@fault("autograd.Function", "wrong_numbers_of_gradients_are_refused", green=("backward_of_a_custom_function_is_used",))
def missing_gradients_filled_up():
    """Where backward returns too few gradients, or some of the wrong shape, they are filled up."""

    @replace("autograd.function.BackwardCFunction.apply")
    def filled(apply, self, *args):
        found = apply(self, *args)
        if not isinstance(found, tuple) or self._forward_cls.__name__ != "Short":
            return found
        return (found[0], found[0], None)


@fault("autograd.function.FunctionCtx.save_for_backward", "saved_tensors_of_functions_are_guarded")
def saved_tensors_not_guarded():
    """save_for_backward keeps the tensors as they are: changes of them are not noticed, nor are they freed."""
    torch.autograd.function.FunctionCtx.save_for_backward = lambda self, *tensors: setattr(self, "_kept", tensors)
    torch.autograd.function.BackwardCFunction.saved_tensors = property(lambda self: self._kept)


@fault("autograd.Function.jvp", "the_tangent_of_a_custom_function_is_used")
def custom_tangents_doubled():
    """The tangent that a custom function returns is taken twice."""

    @replace("autograd.function.BackwardCFunction.apply_jvp")
    def twice(apply_jvp, self, *args):
        found = apply_jvp(self, *args)
        return tuple(2 * t for t in found) if isinstance(found, tuple) else 2 * found


@fault(
    "autograd.utils.checkpoint.checkpoint", "checkpointed_parts_give_the_same_gradients",
    "the_reentrant_form_says_what_it_cannot", "a_second_pass_that_differs_is_told",
    green=("the_form_without_reentry_allows_more",),
)  # fmt: skip
def checkpoint_saves_everything():
    """checkpoint runs its function once and saves everything."""
    torch.utils.checkpoint.checkpoint = lambda f, *args, use_reentrant, **kwargs: f(*args, **kwargs)


@fault("autograd.utils.checkpoint.checkpoint", "the_form_without_reentry_allows_more")
def keyword_arguments_dropped():
    """checkpoint does not pass keyword arguments on."""

    @replace("utils.checkpoint.checkpoint")
    def bare(checkpoint, f, *args, use_reentrant, **kwargs):
        return checkpoint(f, *args, use_reentrant=use_reentrant)


@fault("autograd.utils.checkpoint.checkpoint_sequential", "sequential_models_are_checkpointed_in_segments")
def segments_not_checkpointed():
    """checkpoint_sequential runs the model as it is."""
    torch.utils.checkpoint.checkpoint_sequential = lambda model, segments, x, **options: model(x)


@fault("autograd.set_detect_anomaly", "the_search_for_nan_can_be_left_out")
def nan_always_searched():
    """set_detect_anomaly(check_nan=False) searches all the same."""
    original = torch.autograd.set_detect_anomaly
    torch.autograd.set_detect_anomaly = lambda mode, check_nan=True: original(mode)


@fault("autograd.no_grad", "results_need_no_gradient", "what_is_computed_without_gradients_is_a_constant")
def no_grad_does_nothing():
    """no_grad records as ever."""
    torch.no_grad.__enter__ = lambda self: setattr(self, "prev", torch.is_grad_enabled())


@fault("autograd.no_grad", "other_threads_are_not_affected")
def modes_follow_into_threads():
    """A new thread has the grad mode of the one that starts it."""
    start = threading.Thread.start

    def inheriting(self):
        mode, run = torch.is_grad_enabled(), self.run

        def under():
            with contextlib.nullcontext() if mode else torch.no_grad():
                run()

        self.run = under
        start(self)

    threading.Thread.start = inheriting


@fault("autograd.set_grad_enabled", "set_grad_enabled_is_a_function_too")
def set_grad_enabled_only_a_context():
    """set_grad_enabled has no effect but as a context."""

    class Context(torch.set_grad_enabled):
        def __init__(self, mode):
            self.mode = mode
            self.prev = torch.is_grad_enabled()

        def __enter__(self):
            self.prev = torch.is_grad_enabled()
            torch._C._set_grad_enabled(self.mode)

    torch.set_grad_enabled = Context


@fault("autograd.no_grad", "factories_keep_what_they_are_told")
def factories_obey_no_grad():
    """Under no_grad ones(requires_grad=True) makes a tensor that does not."""

    @replace("ones")
    def obedient(ones, *args, requires_grad=False, **options):
        return ones(*args, requires_grad=requires_grad and torch.is_grad_enabled(), **options)
