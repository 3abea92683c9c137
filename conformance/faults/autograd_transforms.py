"""Faults in forward mode, torch.func and torch.autograd.functional."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, valid-type, assignment, attr-defined"
from __future__ import annotations

import torch

from conformance.faults.fault import fault, replace

functorch = torch._C._functorch


@fault("autograd.forward_ad.make_dual", "dual_tensors_carry_tangents", "forward_mode_goes_over_backward")
def tangents_doubled():
    """make_dual of a vector of two takes twice the tangent."""

    @replace("autograd.forward_ad.make_dual")
    def twice(make_dual, tensor, tangent, **options):
        return make_dual(tensor, tangent * 2 if tensor.shape == (2,) else tangent, **options)


@fault(
    "autograd.func.vmap",
    "randomness_is_forbidden_the_same_or_different",
    green=("vmap_puts_the_batch_where_it_is_told",),
)
def every_sample_draws_the_same():
    """vmap with randomness="different" draws once for all samples."""

    @replace("func.vmap")
    def alike(vmap, f, *args, randomness="error", **options):
        return vmap(f, *args, randomness="same" if randomness == "different" else randomness, **options)


@fault("autograd.func.vmap", "chunks_change_nothing", green=("vmap_puts_the_batch_where_it_is_told",))
def chunks_ignored():
    """chunk_size is not heeded: all samples are computed at once."""

    @replace("func.vmap")
    def whole(vmap, f, *args, chunk_size=None, **options):
        return vmap(f, *args, **({"chunk_size": 0} if chunk_size == 0 else {}), **options)


@fault("autograd.func.jacrev", "jacobians_are_the_same_from_both_sides")
def jacobian_transposed():
    """jacrev gives input by output dimensions."""

    @replace("func.jacrev")
    def transposed(jacrev, f, *args, **options):
        jac = jacrev(f, *args, **options)

        def call(*xs):
            got = jac(*xs)
            return got.mT if isinstance(got, torch.Tensor) and got.dim() == 2 else got

        return call


@fault(
    "autograd.func.grad", "transforms_work_in_inference_mode", models="pytorch/pytorch#177479",
    green=("grad_is_of_the_named_arguments",),
)  # fmt: skip
def zeros_in_inference_mode():
    """torch.func.grad gives zeros in inference mode."""

    @replace("func.grad")
    def zeros(grad, f, *args, **options):
        def call(x, *xs, **kwargs):
            if torch.is_inference_mode_enabled():
                return torch.zeros_like(x)
            return grad(f, *args, **options)(x, *xs, **kwargs)

        return call


@fault("autograd.func.grad", "outer_modes_do_not_reach_into_grad", green=("grad_is_of_the_named_arguments",))
def outer_no_grad_reaches_in():
    """torch.func.grad gives zeros under no_grad."""

    @replace("func.grad")
    def zeros(grad, f, *args, **options):
        def call(x, *xs, **kwargs):
            return torch.zeros_like(x) if not torch.is_grad_enabled() else grad(f, *args, **options)(x, *xs, **kwargs)

        return call


@fault("autograd.functional.jacobian", "functional_jacobians")
def strict_not_heeded():
    """jacobian(strict=True) gives zeros for an output that does not depend on the input."""

    @replace("autograd.functional.jacobian")
    def lax(jacobian, *args, strict=False, **options):
        return jacobian(*args, **options)


@fault("autograd.gradcheck", "gradcheck_tells_right_from_wrong")
def gradcheck_always_content():
    """gradcheck finds every function right."""
    torch.autograd.gradcheck = lambda *args, **options: True


@fault("autograd.forward_ad.dual_level", "forward_mode_does_not_nest")
def levels_nest():
    """A level of forward mode inside another is the same level."""

    @replace("autograd.forward_ad.enter_dual_level")
    def again(enter):
        level = torch.autograd.forward_ad._current_level
        return enter() if level < 0 else level


@fault("autograd.func.grad", "grad_is_of_the_named_arguments", green=("outer_modes_do_not_reach_into_grad",))
def argnums_sorted():
    """torch.func.grad sorts argnums."""

    @replace("func.grad")
    def in_order(grad, f, argnums=0, **options):
        return grad(f, tuple(sorted(argnums)) if isinstance(argnums, tuple) else argnums, **options)


@fault("autograd.func.vjp", "products_with_the_jacobian_from_either_side")
def vjp_serves_once():
    """The function that torch.func.vjp returns gives zeros from the second call on."""

    @replace("func.vjp")
    def once(vjp, f, *primals, **options):
        out, back, *aux = vjp(f, *primals, **options)
        calls = []

        def spent(*args, **kwargs):
            calls.append(1)
            found = back(*args, **kwargs)
            return found if len(calls) == 1 else tuple(g * 0 for g in found)

        return (out, spent, *aux)


@fault("autograd.func.hessian", "hessians_have_both_orders")
def hessian_of_one_triangle():
    """torch.func.hessian gives the upper triangle."""

    @replace("func.hessian")
    def upper(hessian, f, *args, **options):
        whole = hessian(f, *args, **options)
        return lambda *xs: whole(*xs).triu()


@fault("autograd.func.linearize", "the_tangent_map_can_be_kept")
def tangent_map_of_one_sign():
    """The map that linearize returns loses the sign of its argument."""

    @replace("func.linearize")
    def unsigned(linearize, f, *primals):
        out, tangent = linearize(f, *primals)
        return out, lambda v: tangent(v.abs())


@fault("autograd.vmap", "vmap_puts_the_batch_where_it_is_told")
def out_dims_ignored():
    """vmap puts the batch first, whatever out_dims says."""

    @replace("vmap")
    def first(vmap, f, in_dims=0, out_dims=0, **options):
        return vmap(f, in_dims, 0, **options)


@fault("autograd.functional.hvp", "functional_products")
def hvp_of_another_sign():
    """autograd.functional.hvp has the other sign."""

    @replace("autograd.functional.hvp")
    def negated(hvp, *args, **options):
        value, product = hvp(*args, **options)
        return value, -product


@fault("autograd.Function.generate_vmap_rule", "a_vmap_rule_is_made_where_asked")
def vmap_rules_made_unasked():
    """Every custom function gets a batching rule, whether it asks for one or not."""
    torch.autograd.Function.generate_vmap_rule = True


@fault("autograd.Function.vmap", "a_vmap_rule_of_ones_own_is_called")
def rules_not_told_the_randomness():
    """A batching rule of one's own hears randomness="error", whatever vmap was told."""

    @replace("func.vmap")
    def strict(vmap, f, *args, randomness="error", **options):
        return vmap(f, *args, **options)


@fault("autograd.func.vmap", "what_vmap_cannot_do_it_refuses", green=("vmap_puts_the_batch_where_it_is_told",))
def first_sample_decides():
    """Under vmap a tensor is true or false as its first sample is."""

    @replace("Tensor.__bool__")
    def first(true, self):
        return true(functorch.get_unwrapped(self)[0] if functorch.is_batchedtensor(self) else self)


@fault("autograd.func.vmap", "what_vmap_cannot_do_it_refuses", green=("vmap_puts_the_batch_where_it_is_told",))
def batches_written_into_one():
    """add_ of what has a batch to what has none adds all samples."""

    @replace("Tensor.add_")
    def summed(add_, self, other, **options):
        batched = functorch.is_batchedtensor(other) and not functorch.is_batchedtensor(self)
        return add_(self, functorch.get_unwrapped(other).sum(0) if batched else other, **options)


@fault("autograd.func.vmap", "gradients_of_each_sample", green=("vmap_puts_the_batch_where_it_is_told",))
def gradients_averaged_by_vmap():
    """Under vmap torch.func.grad gives every sample the mean of the gradients of all."""

    @replace("func.grad")
    def averaged(grad, f, *args, **options):
        def call(*xs, **kwargs):
            found = grad(f, *args, **options)(*xs, **kwargs)
            if not functorch.is_batchedtensor(found):
                return found
            return functorch.get_unwrapped(found).mean(functorch.maybe_get_bdim(found))

        return call
