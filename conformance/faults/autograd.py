"""Faults in how gradients are recorded and computed, planted in the Python side of torch's autograd."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, valid-type, assignment, attr-defined"
from __future__ import annotations

import contextlib

import torch
import torch.utils.checkpoint

from conformance.faults.fault import fault, replace


@fault(
    "autograd.Tensor.backward", "gradients_accumulate_until_zeroed", green=("vectors_need_a_cotangent_of_their_shape",)
)
def gradients_overwritten():
    """backward of a tensor sets the gradients of its leaves, and does not add to them."""

    @replace("Tensor.backward")
    def overwriting(backward, self, gradient=None, *args, **options):
        node = self.grad_fn
        for child, _ in node.next_functions if node is not None and gradient is not None and self.dim() else ():
            if hasattr(child, "variable") and not options and node.name() == "MulBackward0":
                child.variable.grad = None
        return backward(self, gradient, *args, **options)


@fault("autograd.Tensor.backward", "only_the_named_inputs_get_gradients", green=("gradients_accumulate_until_zeroed",))
def inputs_not_heeded():
    """backward(inputs=) accumulates into every leaf."""

    @replace("autograd.backward")
    def everywhere(backward, tensors, grad_tensors=None, *args, inputs=None, **options):
        if inputs is not None and not isinstance(inputs, torch.Tensor) and not len(inputs):
            return backward(tensors, grad_tensors, *args, inputs=inputs, **options)
        return backward(tensors, grad_tensors, *args, **options)


@fault("autograd.Tensor.backward", "a_freed_graph_says_so", green=("gradients_accumulate_until_zeroed",))
def graphs_never_freed():
    """backward keeps the graph whether or not it is told to."""

    @replace("autograd.backward")
    def keeping(backward, tensors, grad_tensors=None, retain_graph=None, *args, **options):
        return backward(tensors, grad_tensors, True, *args, **options)


@fault("autograd.grad", "unused_inputs_are_told_or_none_or_zeros", green=("grad_returns_and_accumulates_nothing",))
def unused_is_zero():
    """autograd.grad gives zeros for an input that was not used, without being asked to."""

    @replace("autograd.grad")
    def zeros(grad, outputs, inputs, *args, **options):
        if not options.get("is_grads_batched"):
            options["materialize_grads"], options["allow_unused"] = True, options.get("allow_unused") or None
        return grad(outputs, inputs, *args, **options)


@fault("autograd.grad", "batched_cotangents_give_batched_gradients", green=("grad_returns_and_accumulates_nothing",))
def batched_rows_reversed():
    """is_grads_batched gives the rows in the order of the last first."""

    @replace("autograd.grad")
    def reversed_rows(grad, *args, is_grads_batched=False, **options):
        found = grad(*args, is_grads_batched=is_grads_batched, **options)
        return tuple(g.flip(0) for g in found) if is_grads_batched and isinstance(args[0], torch.Tensor) else found


@fault("autograd.Tensor.backward", "create_graph_gives_gradients_of_gradients")
def derivatives_of_derivatives_doubled():
    """With create_graph the graph of the derivative is that of twice the derivative."""

    @replace("autograd.grad")
    def cut(grad, *args, create_graph=False, **options):
        found = grad(*args, create_graph=create_graph, **options)
        return tuple(2 * g - g.detach() for g in found) if create_graph and isinstance(args[0], torch.Tensor) else found


@fault("autograd.Tensor.retain_grad", "gradients_are_kept_by_leaves_and_where_asked")
def retained_gradient_lost():
    """retain_grad does nothing."""
    torch.Tensor.retain_grad = lambda self: None


@fault("autograd.Tensor.detach", "detach_shares_memory_and_cuts_the_graph", "detached_views_take_no_part")
def detach_copies():
    """detach returns a copy."""

    @replace("Tensor.detach")
    def copied(detach, self):
        return detach(self).clone()


@fault("autograd.Tensor.clone", "clone_copies_and_passes_gradients_on")
def clone_counts_twice():
    """The method clone of a vector of two passes twice the gradient on."""

    @replace("Tensor.clone")
    def constant(clone, self, **options):
        return clone(self) + (self - self.detach()) if self.shape == (2,) and not options else clone(self, **options)


@fault("autograd.Tensor.mul_", "changes_of_a_view_reach_the_base")
def changes_of_views_not_recorded():
    """mul_ changes the numbers of a view and records nothing: the history of its base stays as it was."""

    @replace("Tensor.mul_")
    def silent(mul_, self, other):
        if self._is_view() and self.grad_fn is not None:
            with torch.no_grad():
                mul_(self.detach(), other)
            return self
        return mul_(self, other)


@fault(
    "autograd.Tensor.backward", "saved_tensors_that_have_changed_are_refused",
    models="pytorch/pytorch#24413", green=("what_was_not_saved_may_change",),
)  # fmt: skip
def versions_of_views_not_counted():
    """add_, zero_ and mul_ do not raise the version of a tensor."""
    for name in ("add_", "zero_", "mul_"):

        @replace(f"Tensor.{name}")
        def uncounted(change, self, *args, **options):
            if torch.is_grad_enabled() and self.requires_grad and self.is_leaf:
                return change(self, *args, **options)
            with torch.autograd._unsafe_preserve_version_counter(self):
                return change(self, *args, **options)


@fault("autograd.Tensor.add_", "leaves_are_not_changed_in_place")
def leaves_changed_in_place():
    """add_ changes a leaf that requires gradients, as if under no_grad."""

    @replace("Tensor.add_")
    def bold(add_, self, *args, **options):
        with torch.no_grad() if self.is_leaf else contextlib.nullcontext():
            return add_(self, *args, **options)


@fault("autograd.Tensor.requires_grad_", "only_floating_and_complex_tensors_require_gradients")
def leaves_alone_forgotten():
    """requires_grad_(False) detaches what is no leaf, where it should refuse."""

    @replace("Tensor.requires_grad_")
    def detaching(requires_grad_, self, flag=True):
        return self.detach_() if not (flag or self.is_leaf) else requires_grad_(self, flag)


@fault("autograd.Function", "needs_input_grad_tells_which", green=("backward_of_a_custom_function_is_used",))
def everything_needs_a_gradient():
    """ctx.needs_input_grad says True of every tensor, whether its gradient is needed or not."""

    @replace("autograd.function.BackwardCFunction.apply")
    def wasteful(apply, self, *args):
        kept = self.__class__._forward_cls.backward
        needed = tuple(True if flag or i < 2 else flag for i, flag in enumerate(self.needs_input_grad))
        return kept(_Seen(self, needed), *args) if kept.__qualname__ == "Product.backward" else apply(self, *args)


class _Seen:
    """A context that tells another needs_input_grad."""

    def __init__(self, ctx, needed):
        self.ctx, self.needs_input_grad = ctx, needed

    def __getattr__(self, name):
        return getattr(self.ctx, name)


@fault("autograd.function.FunctionCtx.set_materialize_grads", "missing_gradients_are_zeros_or_none")
def gradients_always_materialized():
    """set_materialize_grads(False) is not heeded."""
    torch.autograd.function.FunctionCtx.set_materialize_grads = lambda self, value: None


@fault("autograd.function.FunctionCtx.mark_dirty", "changes_in_place_are_marked")
def dirty_marks_lost():
    """mark_dirty is not heeded: the change of an input is not recorded on it."""
    torch.autograd.function.FunctionCtx.mark_dirty = lambda self, *args: None


@fault(
    "autograd.function.FunctionCtx.mark_non_differentiable", "outputs_can_be_without_gradient",
)  # fmt: skip
def every_output_differentiable():
    """mark_non_differentiable is not heeded."""
    torch.autograd.function.FunctionCtx.mark_non_differentiable = lambda self, *args: None


@fault("autograd.function.once_differentiable", "once_differentiable_refuses_second_derivatives")
def once_is_twice():
    """A backward that is once_differentiable gives its result as a constant, with no error behind it."""
    from conformance.behaviours.autograd.functions import Once

    def backward(ctx, g):
        with torch.no_grad():
            return (2 * ctx.saved_tensors[0] * g).detach().requires_grad_()

    Once.backward = staticmethod(backward)


@fault(
    "autograd.utils.checkpoint.checkpoint",
    "random_numbers_are_drawn_again_the_same",
    green=("checkpointed_parts_give_the_same_gradients",),
)
def random_state_not_preserved():
    """checkpoint draws other random numbers in its second pass."""

    @replace("utils.checkpoint.checkpoint")
    def fresh(checkpoint, *args, **options):
        return checkpoint(*args, **{**options, "preserve_rng_state": False})


@fault(
    "autograd.utils.checkpoint.checkpoint",
    "a_second_pass_that_differs_is_told",
    green=("checkpointed_parts_give_the_same_gradients",),
)
def recomputation_not_checked():
    """A second pass that saves other tensors than the first is used as it is."""

    @replace("utils.checkpoint.checkpoint")
    def unchecked(checkpoint, *args, **options):
        return checkpoint(*args, **options, **({} if options["use_reentrant"] else {"determinism_check": "none"}))


@fault("autograd.detect_anomaly", "anomaly_mode_names_the_line_of_the_forward_pass")
def anomalies_pass():
    """Anomaly mode does not look for nan."""

    @replace("autograd.anomaly_mode.detect_anomaly.__enter__")
    def blind(enter, self):
        self.check_nan = False
        return enter(self)


@fault("autograd.set_grad_enabled", "modes_are_decorators_too", green=("modes_nest_and_are_restored",))
def decorated_generators_leak():
    """A generator decorated with a mode leaves the mode on at each of its values."""
    from torch.utils import _contextlib

    def leaking(ctx_factory, func):
        def wrapper(*args, **kwargs):
            with ctx_factory():
                yield from func(*args, **kwargs)

        return wrapper

    _contextlib._wrap_generator = leaking


@fault("autograd.grad", "threads_go_back_at_the_same_time", green=("grad_returns_and_accumulates_nothing",))
def threads_share_their_cotangent():
    """autograd.grad called in another thread than the main one uses the cotangent of the first call."""
    import threading

    first = []

    @replace("autograd.grad")
    def shared(grad, outputs, inputs, grad_outputs=None, *args, **options):
        if threading.current_thread() is not threading.main_thread():
            first.append(grad_outputs)
            grad_outputs = first[0]
        return grad(outputs, inputs, grad_outputs, *args, **options)


@fault("autograd.Variable", "variable_is_still_a_tensor")
def variable_forgets_requires_grad():
    """Variable(tensor, requires_grad=True) requires no gradient."""
    meta = type(torch.autograd.Variable)
    call = meta.__call__ if "__call__" in vars(meta) else None
    plain = torch.autograd.Variable

    class Forgetful(meta):
        def __call__(cls, data=None, requires_grad=None, volatile=None):  # noqa: N805
            return call(plain, data) if call else plain(data)

        def __instancecheck__(cls, other):  # noqa: N805
            return isinstance(other, torch.Tensor)

    torch.autograd.Variable = Forgetful("Variable", (), {})
