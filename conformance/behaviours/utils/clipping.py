"""Clipping of gradients: their norm, their values."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from typing import Any

import numpy as np
import torch
from torch.nn import utils

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, numbers, raises, same

ALL = {"float32": 1, "float64": 3, "bfloat16": 3, "float16": 3}
GRADIENTS = ([3.0, -4.0], [12.0], [[0.0, 0.0]], None)  # their norm is 13


def with_gradients(device: torch.device, dtype: torch.dtype, gradients: Any = GRADIENTS) -> list[torch.nn.Parameter]:
    parameters = []
    for g in gradients:
        made = torch.zeros(1) if g is None else torch.tensor(g)
        parameters.append(torch.nn.Parameter(torch.zeros_like(made, dtype=dtype, device=device)))
        parameters[-1].grad = None if g is None else made.to(device, dtype)
    return parameters


@promise("nn.utils", "nn.utils.clip_grad_norm_", levels=ALL)
def gradients_are_scaled_to_the_norm(device: torch.device, dtype: torch.dtype) -> None:
    """The total norm of all gradients as one vector is returned, and where it is above max_norm every gradient is
    multiplied in place by max_norm / (total + 1e-6), by either implementation."""
    flat = np.array([3.0, -4.0, 12.0])
    for p in (2.0, 1, math.inf, "inf", 3.0, 0.5):
        total = np.abs(flat).max() if p in (math.inf, "inf") else (np.abs(flat) ** float(p)).sum() ** (1 / float(p))
        for foreach in (None, False, True):
            parameters = with_gradients(device, dtype)
            before = [q.grad for q in parameters]
            got = utils.clip_grad_norm_(parameters, 6.5, p, foreach=foreach)
            close(got, total, f"total norm of order {p}", scale=total * 4 / float(p) if p != "inf" else 0)
            for q, g, value in zip(parameters, before, GRADIENTS):
                assert q.grad is g, "the gradient is not changed in place"
                if g is not None:
                    want = np.array(value) * min(1.0, 6.5 / (total + 1e-6))
                    close(g, want, f"gradient clipped by norm {p}", scale=np.abs(want) * 4)


@promise("nn.utils", "nn.utils.clip_grad_norm_")
def small_gradients_are_left_as_they_are(device: torch.device, dtype: torch.dtype) -> None:
    """Where the total norm is below max_norm nothing changes: gradients are never scaled up."""
    parameters = with_gradients(device, dtype)
    same(utils.clip_grad_norm_(parameters, 13.5), torch.tensor(13.0, dtype=dtype, device=device))
    same([q.grad for q in parameters], [q.grad for q in with_gradients(device, dtype)])


@promise("nn.utils", "nn.utils.clip_grad_norm_")
def parameters_come_in_any_form(device: torch.device, dtype: torch.dtype) -> None:
    """parameters is an iterable, also one that can be gone through only once, or a single tensor."""
    want = torch.tensor([0.75, -1.0], dtype=dtype, device=device)
    for form in (list, iter, tuple, lambda ps: (p for p in ps), lambda ps: ps[0]):
        parameters = with_gradients(device, dtype, ([3.0, -4.0], None))
        same(utils.clip_grad_norm_(form(parameters), 1.25), torch.tensor(5.0, dtype=dtype, device=device))
        close(parameters[0].grad, numbers(want), scale=1.0)


@promise("nn.utils", "nn.utils.clip_grad_norm_")
def without_gradients_the_norm_is_zero(device: torch.device, dtype: torch.dtype) -> None:
    """Parameters without gradients, or no parameters, have the total norm 0."""
    for parameters in ([], with_gradients(device, dtype, (None, None))):
        same(float(utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)), 0.0)
        same([q.grad for q in parameters], [None] * len(parameters))


@promise("nn.utils", "nn.utils.clip_grad_norm_")
def a_norm_that_is_not_finite_is_an_error_if_asked_for(device: torch.device, dtype: torch.dtype) -> None:
    """error_if_nonfinite raises RuntimeError for a total norm of nan or inf and leaves gradients as they are; without
    it they are scaled by the norm anyway."""
    for bad, want in ((math.inf, [math.nan, 0.0]), (-math.inf, [math.nan, 0.0]), (math.nan, [math.nan, math.nan])):
        for foreach in (False, True):
            parameters = with_gradients(device, dtype, ([bad, 1.0],))
            before = torch.tensor([bad, 1.0], dtype=dtype, device=device)
            clip = functools.partial(utils.clip_grad_norm_, parameters, 1.0, foreach=foreach)
            raises(RuntimeError, functools.partial(clip, error_if_nonfinite=True), "non-finite")
            same(parameters[0].grad, before)
            same(clip().isfinite().item(), False)
            same(parameters[0].grad, torch.tensor(want, dtype=dtype, device=device))


@promise("nn.utils", "nn.utils.clip_grad_norm_")
def gradients_of_several_dtypes_have_one_norm(device: torch.device, dtype: torch.dtype) -> None:
    """Gradients of several dtypes are clipped by their common norm, each in its own dtype."""
    for foreach in (False, True):
        for other in (torch.bfloat16, torch.float64, torch.complex64):
            parameters = with_gradients(device, dtype, ([3.0, -4.0],))
            parameters += with_gradients(device, other, ([12.0],))
            close(utils.clip_grad_norm_(parameters, 6.5, foreach=foreach), 13.0)
            same([q.grad.dtype for q in parameters if q.grad is not None], [dtype, other])
            factor = 6.5 / (13 + 1e-6)
            close(parameters[0].grad, [3 * factor, -4 * factor], scale=2.0)
            close(parameters[1].grad.real, [12 * factor], scale=6.0)


@promise("nn.utils", "nn.utils.clip_grad_norm_")
def clipping_leaves_no_graph(device: torch.device, dtype: torch.dtype) -> None:
    """Gradients with a graph of their own are clipped too; the norm that is returned is a number without one."""
    x = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=dtype, device=device))
    (x * x).sum().backward(torch.tensor(0.5, dtype=dtype, device=device), create_graph=True)
    total = utils.clip_grad_norm_([x], 2.5)
    same((total.requires_grad, total.item()), (False, 5.0))
    close(x.grad, [1.5, 2.0], scale=2.0)
    x.grad = None


@promise("nn.utils", "nn.utils.get_total_norm", "nn.utils.clip_grads_with_norm_")
def the_two_halves_are_the_whole(device: torch.device, dtype: torch.dtype) -> None:
    """get_total_norm gives the norm of tensors as one vector, and clip_grads_with_norm_ scales by a norm that is given:
    one after the other they are clip_grad_norm_."""
    for foreach in (None, False, True):
        parameters = with_gradients(device, dtype)
        total = utils.get_total_norm([q.grad for q in parameters if q.grad is not None], foreach=foreach)
        same(total, torch.tensor(13.0, dtype=dtype, device=device))
        same(utils.clip_grads_with_norm_(parameters, 6.5, total, foreach=foreach), None)
        whole = with_gradients(device, dtype)
        utils.clip_grad_norm_(whole, 6.5, foreach=foreach)
        same([q.grad for q in parameters], [q.grad for q in whole])
        close(parameters[0].grad, [1.5, -2.0], scale=2.0)
        utils.clip_grads_with_norm_(parameters, 4.0, torch.tensor(2.0, dtype=dtype, device=device), foreach=foreach)
        same([q.grad for q in parameters], [q.grad for q in whole])  # never scaled up
    same(float(utils.get_total_norm([])), 0.0)
    bad = torch.tensor([math.nan], dtype=dtype, device=device)
    raises(RuntimeError, lambda: utils.get_total_norm([bad], error_if_nonfinite=True), "non-finite")


@promise("nn.utils", "nn.utils.clip_grad_value_", levels=ALL)
def values_are_clipped_to_the_range(device: torch.device, dtype: torch.dtype) -> None:
    """Every gradient is clipped in place to [-clip_value, clip_value]; None stays None."""
    has_foreach = "foreach" in inspect.signature(utils.clip_grad_value_).parameters
    for options in ({}, {"foreach": False}, {"foreach": True}) if has_foreach else ({},):
        parameters = with_gradients(device, dtype, ([[3.0, -4.0], [0.5, -0.25]], [math.inf, -math.inf], None))
        before = [q.grad for q in parameters]
        same(utils.clip_grad_value_(parameters, 1.5, **options), None)
        want = with_gradients(device, dtype, ([[1.5, -1.5], [0.5, -0.25]], [1.5, -1.5], None))
        same([q.grad for q in parameters], [q.grad for q in want])
        same([q.grad is g for q, g in zip(parameters, before)], [True] * 3)
        utils.clip_grad_value_(parameters[0], 1, **options)
        same(parameters[0].grad, torch.tensor([[1.0, -1.0], [0.5, -0.25]], dtype=dtype, device=device))


@promise("nn.utils", "nn.utils.clip_grad_norm", link="generated/torch.nn.utils.clip_grad_norm.html")
def the_name_without_an_underscore_warns(device: torch.device, dtype: torch.dtype) -> None:
    """clip_grad_norm is deprecated in favour of clip_grad_norm_: it warns and does the same."""
    parameters = with_gradients(device, dtype)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        same(utils.clip_grad_norm(parameters, 6.5), torch.tensor(13.0, dtype=dtype, device=device))
    same(any("clip_grad_norm_" in str(s.message) for s in said), True)
    close(parameters[0].grad, [1.5, -2.0], scale=2.0)
