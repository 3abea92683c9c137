"""Mends of hooks, files and utilities."""

from __future__ import annotations

import collections
import copy
import inspect

import pytest
import torch
from torch import nn
from torch.autograd import graph
from torch.nn import utils
from torch.nn.modules import module as everywhere
from torch.nn.utils import rnn

from tests.core.mending import mend


@mend("hooks.nn.Module.register_forward_hook")
def a_hook_that_is_always_called_may_remove_itself(put):
    class Snapshot(collections.OrderedDict):
        def items(self):
            return list(super().items())

    def register(self, hook, **options):
        if not self._forward_hooks:
            self._forward_hooks = Snapshot()
        return original(self, hook, **options)

    original = nn.Module.register_forward_hook
    put(nn.Module, "register_forward_hook", register)


@mend("hooks.nn.modules.module.register_module_forward_hook")
def one_that_is_always_called_gets_its_keywords(put):
    given = []

    def call(self, *args, **kwargs):
        given.append(kwargs)
        return called(self, *args, **kwargs)

    def register(hook, *, with_kwargs, always_call):
        def full(m, args, *rest):
            return hook(m, args, *(rest if len(rest) == 2 else (given[-1], *rest)))

        return original(full, with_kwargs=with_kwargs, always_call=always_call)

    original, called = everywhere.register_module_forward_hook, nn.Module.__call__
    if "with_kwargs" not in inspect.signature(original).parameters:
        pytest.skip("global forward hooks have no with_kwargs")
    put(everywhere, "register_module_forward_hook", register)
    put(nn.Module, "__call__", call)


@mend("hooks.Tensor.retain_grad")
def it_sees_what_pre_hooks_of_the_node_made(put):
    put(
        torch.Tensor,
        "retain_grad",
        lambda t: t.grad_fn.register_hook(lambda inner, outer: setattr(t, "grad", outer[0])),
    )


@mend("hooks.autograd.graph.register_multi_grad_hook")
def it_counts_the_tensor_at_which_the_pass_begins(put):
    def register(tensors, fn):
        seen = {}

        def came(g, i):
            seen[i] = g
            if len(seen) == len(tensors):
                fn([seen[k] for k in range(len(tensors))])

        for i, t in enumerate(tensors):
            t.register_hook(lambda g, i=i: came(g, i))

    put(graph, "register_multi_grad_hook", register)


@mend("hooks.nn.Module.register_full_backward_pre_hook")
def a_pre_hook_may_return_one_tensor(put):
    def register(self, hook):
        def tupled(m, go):
            found = hook(m, go)
            return (found,) if isinstance(found, torch.Tensor) else found

        return original(self, tupled)

    original = nn.Module.register_full_backward_pre_hook
    put(nn.Module, "register_full_backward_pre_hook", register)


@mend("hooks.nn.Module.register_load_state_dict_pre_hook")
def a_pre_hook_is_told_whether_loading_is_strict(put):
    asked = []

    def load(self, state, strict=True):
        asked.append(strict)
        return loaded(self, state, strict)

    def register(self, hook):
        return original(self, lambda m, state, prefix, meta, strict, *lists: hook(m, state, prefix, meta, asked[-1]))

    original, loaded = nn.Module.register_load_state_dict_pre_hook, nn.Module.load_state_dict
    put(nn.Module, "register_load_state_dict_pre_hook", register)
    put(nn.Module, "load_state_dict", load)


@mend("hooks.Tensor.register_hook")
def what_it_returns_is_the_gradient_whatever_else_is_asked_for(put):
    grad = torch.autograd.grad
    put(torch.autograd, "grad", lambda y, xs, g: [grad(y, x, g, retain_graph=True)[0] for x in xs])


@mend("serialization.load")
def the_old_format_asks_for_no_more_than_the_file_has(put):
    def load(f, **options):
        try:
            return original(f, **options)
        except Exception:
            raise ValueError("a storage is larger than the file") from None

    original = torch.load
    put(torch, "load", load)


@mend("serialization.save")
def nested_tensors_come_back_from_the_old_format(put):
    original = torch.save
    put(torch, "save", lambda thing, f, **options: original(thing, f))


@mend("nn.utils.fuse_conv_bn_eval")
def a_grouped_transposed_convolution_is_fused_too(put):
    def fuse(conv, bn, transpose):
        fused, factor = copy.deepcopy(conv), bn.weight * (bn.running_var + bn.eps).rsqrt()
        groups = conv.weight.unflatten(0, (conv.groups, -1)) * factor.view(conv.groups, 1, -1, 1, 1)
        fused.weight = nn.Parameter(groups.flatten(0, 1))
        fused.bias = nn.Parameter((conv.bias - bn.running_mean) * factor + bn.bias)
        return fused

    put(utils, "fuse_conv_bn_eval", fuse)


@mend("nn.utils.fuse_linear_bn_eval")
def a_normalization_without_parameters_is_fused_too(put):
    def fuse(linear, bn):
        bn.weight, bn.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        return original(linear, bn)

    original = utils.fuse_linear_bn_eval
    put(utils, "fuse_linear_bn_eval", fuse)


@mend("nn.utils.weight_norm")
def a_normed_module_can_be_copied(put):
    original = torch.Tensor.__deepcopy__
    put(torch.Tensor, "__deepcopy__", lambda t, memo: original(t, memo) if t.is_leaf else t.detach().clone())


@mend("nn.utils.parameters_to_vector")
def parameters_of_any_memory_format_are_flattened(put):
    original = utils.parameters_to_vector
    put(utils, "parameters_to_vector", lambda parameters: original(p.contiguous() for p in parameters))


@mend("nn.utils.vector_to_parameters")
def the_vector_is_copied(put):
    original = utils.vector_to_parameters
    put(utils, "vector_to_parameters", lambda vector, parameters: original(vector.clone(), parameters))


@mend("nn.utils.rnn.unpad_sequence")
def what_is_unpadded_stays_as_it_is(put):
    original = rnn.unpad_sequence
    put(rnn, "unpad_sequence", lambda padded, lengths: original(padded.clone(), lengths))
