"""Faults in making, viewing, indexing and moving tensors."""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
# mypy: disable-error-code="method-assign, misc, valid-type, assignment, attr-defined"
from __future__ import annotations

import copy

import numpy as np
import torch

from conformance.faults.fault import fault, replace


@fault("tensors.from_numpy", "arrays_and_tensors_share_memory")
def arrays_copied():
    """from_numpy copies the array."""

    @replace("from_numpy")
    def copied(from_numpy, a):
        return from_numpy(a).clone(memory_format=torch.preserve_format)


@fault("tensors.from_numpy", "arrays_and_tensors_share_memory")
def strides_of_arrays_lost():
    """from_numpy reads a transposed array as if it were contiguous."""

    @replace("from_numpy")
    def flat(from_numpy, a):
        return from_numpy(a) if a.ndim < 2 else from_numpy(np.ascontiguousarray(a))


@fault("tensors.as_tensor", "data_is_copied_where_it_must_be")
def as_tensor_copies():
    """as_tensor copies an array that it could share."""

    @replace("as_tensor")
    def copied(as_tensor, data, **options):
        return as_tensor(data.copy() if isinstance(data, np.ndarray) else data, **options)


@fault("tensors.frombuffer", "buffers_are_read_in_place")
def buffer_offset_ignored():
    """frombuffer reads from the beginning, whatever the offset."""

    @replace("frombuffer")
    def beginning(frombuffer, buffer, *, dtype, count=-1, offset=0, **options):
        if count < 0:
            return frombuffer(buffer, dtype=dtype, count=count, offset=offset, **options)
        return frombuffer(buffer, dtype=dtype, count=count, **options)


@fault("tensors.from_dlpack", "dlpack_shares_memory_both_ways")
def dlpack_copies():
    """from_dlpack copies what it could share."""

    @replace("from_dlpack")
    def copied(from_dlpack, thing, **options):
        return from_dlpack(thing, **options).clone()


@fault("tensors.tensor", "lists_become_tensors_of_the_dtype_that_fits")
def bools_become_integers():
    """torch.tensor makes integers of a list of bools."""

    @replace("tensor")
    def widened(tensor, data, **options):
        t = tensor(data, **options)
        return t.long() if t.dtype == torch.bool and isinstance(data, list) and "dtype" not in options else t


@fault("tensors.Tensor.to", "conversions_round_truncate_and_test")
def floats_rounded_to_integers():
    """Conversion to int64 rounds to nearest instead of towards zero."""

    @replace("Tensor.to")
    def rounded(to, self, *args, **options):
        if args == (torch.int64,) and self.is_floating_point():
            return to(self.round(), torch.int64)
        return to(self, *args, **options)


@fault("tensors.FloatTensor", "typed_aliases_make_and_name_tensors")
def short_alias_is_int():
    """torch.ShortTensor makes tensors of int32."""
    torch.ShortTensor = torch.IntTensor


@fault("tensors.Tensor.__deepcopy__", "deep_copies_share_as_their_originals_do", models="pytorch/pytorch#81186")
def deep_copies_apart():
    """deepcopy gives every tensor a storage of its own."""

    def apart(self, memo):
        if type(self) is torch.Tensor and self.grad_fn is None and self.grad is None:
            return memo.setdefault(id(self), self.detach().clone().requires_grad_(self.requires_grad))
        return whole(self, memo)

    whole = torch.Tensor.__deepcopy__
    torch.Tensor.__deepcopy__ = apart
    assert copy.deepcopy(torch.ones(1)).item() == 1


@fault("tensors.Tensor.add_", "changes_in_place_keep_the_memory")
def plus_equals_makes_anew():
    """x += y makes a new tensor."""
    torch.Tensor.__iadd__ = lambda self, other: self + other


@fault("tensors.Tensor.reshape", "views_share_and_copies_do_not")
def reshape_always_copies():
    """reshape copies where a view would do."""

    @replace("Tensor.reshape")
    def copied(reshape, self, *shape):
        return reshape(self, *shape).clone()


@fault("tensors.Tensor.contiguous", "views_share_and_copies_do_not")
def contiguous_always_copies():
    """contiguous copies what is contiguous."""

    @replace("Tensor.contiguous")
    def copied(contiguous, self, **options):
        return contiguous(self, **options).clone()


@fault("tensors.Tensor.as_strided", "the_documented_views_share_memory")
def narrow_copies():
    """narrow returns a copy."""

    @replace("Tensor.narrow")
    def copied(narrow, self, *args):
        return narrow(self, *args).clone()


@fault("tensors.Tensor.as_strided", "the_documented_views_share_memory")
def diagonal_offset_flipped():
    """diagonal takes its offset with the other sign."""

    @replace("Tensor.diagonal")
    def flipped(diagonal, self, offset=0, *dims):
        return diagonal(self, -offset, *dims)[: min(self.shape) if self.dim() == 2 else None]


@fault("tensors.view_as_real", "parts_of_complex_tensors_are_views", dtypes=("complex64",))
def view_as_real_copies():
    """view_as_real returns a copy."""

    @replace("view_as_real")
    def copied(view_as_real, z):
        return view_as_real(z).clone()


@fault("tensors.Tensor.resize_", "resizing_keeps_what_was_there")
def resizing_forgets():
    """resize_ to a larger shape gives fresh memory."""

    @replace("Tensor.resize_")
    def fresh(resize_, self, *shape, **options):
        if np.prod(shape) > self.numel():
            self.data = torch.zeros(*shape, dtype=self.dtype)
        return resize_(self, *shape, **options)


@fault("tensors.add", "out_is_written_and_returned", models="pytorch/pytorch#62940")
def strides_of_out_ignored():
    """add(out=) writes as if out were contiguous."""

    @replace("add")
    def dense(add, a, b, *, out=None, **options):
        if out is None or out.is_contiguous() or out.numel() != a.numel():
            return add(a, b, **options) if out is None else add(a, b, out=out, **options)
        out.as_strided(out.shape, (out.shape[1], 1)).copy_(add(a, b))
        return out


@fault("tensors.cat", "joined_tensors_are_new", green=("out_is_written_and_returned",))
def cat_of_one_is_itself():
    """cat of one tensor returns that tensor."""

    @replace("cat")
    def lazy(cat, tensors, *args, **options):
        return tensors[0] if len(tensors) == 1 and not options else cat(tensors, *args, **options)


@fault("tensors.Tensor.to", "devices_do_not_mix")
def to_always_copies():
    """to() copies what is on the device already."""

    @replace("Tensor.to")
    def copied(to, self, *args, **options):
        found = to(self, *args, **options)
        return found.clone() if found is self else found


@fault("tensors.nn.Module.to", "modules_move_in_place")
def modules_get_new_parameters():
    """Moving a module to another dtype gives it new parameters."""

    @replace("nn.Module.double")
    def renewed(double, self):
        for module in self.modules():
            for name, p in list(module._parameters.items()):
                if p is not None:
                    module._parameters[name] = torch.nn.Parameter(p.detach().clone())
        return double(self)


@fault("tensors.set_default_dtype", "the_default_dtype_decides_for_numbers")
def default_dtype_stays():
    """set_default_dtype has no effect."""

    @replace("set_default_dtype")
    def checked(set_default_dtype, kind):
        set_default_dtype(kind)
        set_default_dtype(torch.float32)


@fault("tensors.set_default_device", "the_default_device_decides_for_factories")
def default_device_stays():
    """set_default_device has no effect."""
    torch.set_default_device = lambda device: None


@fault("tensors.Tensor.numpy", "what_cannot_be_shared_is_refused_or_forced")
def numpy_always_forced():
    """numpy() copies what it cannot share, without being told to."""

    @replace("Tensor.numpy")
    def forced(numpy, self, *, force=False):
        return numpy(self, force=True)


@fault("tensors.Tensor.item", "numbers_come_back_as_python_numbers")
def items_are_floats():
    """item of a bool is a float."""

    @replace("Tensor.item")
    def number(item, self):
        return float(item(self)) if self.dtype == torch.bool else item(self)


@fault("tensors.zeros_like", "factories_take_dtype_shape_and_strides_from_what_they_are_given")
def zeros_like_forgets_strides():
    """zeros_like is contiguous."""

    @replace("zeros_like")
    def dense(zeros_like, t, **options):
        return zeros_like(t, **options).contiguous()


@fault("tensors.Tensor.view", "bits_are_seen_in_another_dtype", green=("views_share_and_copies_do_not",))
def bits_copied():
    """view(dtype) returns a copy."""

    @replace("Tensor.view")
    def copied(view, self, *args):
        return view(self, *args).clone() if isinstance(args[0], torch.dtype) else view(self, *args)


@fault("tensors.Tensor.storage_offset", "storages_are_shared_and_seen_from_offsets")
def offsets_not_told():
    """storage_offset is zero."""
    torch.Tensor.storage_offset = lambda self: 0


@fault("tensors.Tensor.share_memory_", "shared_memory_is_kept_by_all_views")
def memory_not_shared():
    """share_memory_ does nothing."""
    torch.Tensor.share_memory_ = lambda self: self


@fault("tensors.Tensor.norm", "norms_of_known_vectors")
def norms_are_euclidean():
    """The method norm is Euclidean, whatever p."""

    @replace("Tensor.norm")
    def euclidean(norm, self, p=2, *args, **options):
        return norm(self, 2, *args, **options)


@fault("tensors.Tensor.stride", "memory_formats_are_strides")
def clone_forgets_the_format():
    """clone is contiguous."""

    @replace("Tensor.clone")
    def dense(clone, self, **options):
        return clone(self, **{"memory_format": torch.contiguous_format, **options})
