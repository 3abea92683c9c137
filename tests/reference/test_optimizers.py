"""Every optimizer against its paper without recursion: averages as sums over all gradients so far.

A second derivation, element by element: the moments of Adam are weighted sums, the accumulator of Adamax is a
maximum over the past, Muon's iteration acts on singular values. Runs are drawn as the checks draw them: several
parameters, groups with options of their own, missing and sparse gradients, complex parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from conformance.draws import SeededDraw
from reference.optim import OPTIMIZERS, owners, run
from reference.rule import Case

# What a paper says of one parameter: its points p_0 .. p_{t-1}, gradients g_1 .. g_t -> p_t and the state.
Past = list[np.ndarray]


def average(xs: Past, beta: float) -> np.ndarray:
    """(1 - beta) sum_i beta^(t - i) x_i."""
    return (1 - beta) * sum(beta ** (len(xs) - 1 - i) * x for i, x in enumerate(xs))


def sgd(ps, gs, lr, momentum, dampening, nesterov, **_):
    if not momentum:
        return ps[-1] - lr * gs[-1], {}
    first, *later = [momentum ** (len(gs) - 1 - i) * g for i, g in enumerate(gs)]
    buffer = first + (1 - dampening) * sum(later)
    return ps[-1] - lr * (gs[-1] + momentum * buffer if nesterov else buffer), {"momentum_buffer": buffer}


def asgd(ps, gs, lr, lambd, alpha, t0, **_):
    t = len(gs)
    eta, following = (lr / (1 + lambd * lr * n) ** alpha for n in (t - 1, t))
    p = ps[-1] - eta * (gs[-1] + lambd * ps[-1])
    points = [*ps[1:], p]
    counted = points[max(0, min(int(t0) + 1, t - 1)) :]  # the mean of the points since step t0 + 2
    return p, {"eta": following, "mu": 1 / max(1, t - t0), "ax": sum(counted) / len(counted)}


def rprop(ps, gs, lr, etas, step_sizes, **_):
    """One element at a time, by cases."""
    size, before = np.full(gs[0].shape, lr), np.zeros(gs[0].shape)
    for g in gs:
        for at in np.ndindex(g.shape):
            now = g[at]
            if now * before[at] > 0:
                size[at] *= etas[1]
            elif now * before[at] < 0:
                size[at], now = size[at] * etas[0], 0.0
            size[at], before[at] = min(max(size[at], step_sizes[0]), step_sizes[1]), now
    return ps[-1] - size * np.sign(before), {"prev": before, "step_size": size}


def adam(ps, gs, lr, betas, eps, amsgrad, **_):
    past = [average([g * g for g in gs[: n + 1]], betas[1]) for n in range(len(gs))]
    m, v = average(gs, betas[0]), past[-1]
    state = {"exp_avg": m, "exp_avg_sq": v}
    if amsgrad:
        v = state["max_exp_avg_sq"] = np.max(past, axis=0)
    t = len(gs)
    return ps[-1] - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps), state


def adamax(ps, gs, lr, betas, eps, **_):
    m, t = average(gs, betas[0]), len(gs)
    u = np.max([betas[1] ** (t - 1 - i) * (np.abs(g) + eps) for i, g in enumerate(gs)], axis=0)
    return ps[-1] - lr / (1 - betas[0] ** t) * m / u, {"exp_avg": m, "exp_inf": u}


def nadam(ps, gs, lr, betas, eps, momentum_decay, **_):
    t, m, v = len(gs), average(gs, betas[0]), average([g * g for g in gs], betas[1])
    mus = [betas[0] * (1 - 0.96 ** (n * momentum_decay) / 2) for n in range(1, t + 2)]
    ahead = mus[t] * m / (1 - math.prod(mus)) + (1 - mus[t - 1]) * gs[-1] / (1 - math.prod(mus[:t]))
    state = {"mu_product": math.prod(mus[:t]), "exp_avg": m, "exp_avg_sq": v}
    return ps[-1] - lr * ahead / (np.sqrt(v / (1 - betas[1] ** t)) + eps), state


def radam(ps, gs, lr, betas, eps, **_):
    t, m, v = len(gs), average(gs, betas[0]), average([g * g for g in gs], betas[1])
    state, free = {"exp_avg": m, "exp_avg_sq": v}, m / (1 - betas[0] ** t)
    longest = (1 + betas[1]) / (1 - betas[1])
    length = longest - 2 * t / (betas[1] ** -t - 1)
    if length <= 5:
        return ps[-1] - lr * free, state
    # the variance of 1 / v at this length relative to the longest: Liu et al., equation 5
    share = (length - 4) / (longest - 4) * (length - 2) / (longest - 2) * longest / length
    return ps[-1] - lr * math.sqrt(share) * free * math.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps), state


def adagrad(ps, gs, lr, lr_decay, initial_accumulator_value, eps, **_):
    total = initial_accumulator_value + sum(g * g for g in gs)
    return ps[-1] - lr / (1 + (len(gs) - 1) * lr_decay) * gs[-1] / (np.sqrt(total) + eps), {"sum": total}


def rmsprop(ps, gs, lr, alpha, eps, momentum, centered, **_):
    def scaled(past: Past) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        v, a = average([g * g for g in past], alpha), average(past, alpha)
        return past[-1] / (np.sqrt(v - a * a if centered else v) + eps), v, a

    _, v, a = scaled(gs)
    buffer = sum(momentum ** (len(gs) - n) * scaled(gs[:n])[0] for n in range(1, len(gs) + 1))
    state = {"square_avg": v, **({"grad_avg": a} if centered else {})}
    return ps[-1] - lr * buffer, {**state, **({"momentum_buffer": buffer} if momentum else {})}


def adadelta(ps, gs, lr, rho, eps, **_):
    moves: Past = []
    for n in range(1, len(gs) + 1):
        v, u = average([g * g for g in gs[:n]], rho), average([d * d for d in moves], rho)
        moves.append(np.sqrt((u + eps) / (v + eps)) * gs[n - 1])
    return ps[-1] - lr * moves[-1], {"square_avg": v, "acc_delta": average([d * d for d in moves], rho)}


def adafactor(ps, gs, lr, beta2_decay, eps, d, weight_decay, **_):
    def rms(a):
        return math.sqrt(np.mean(a * a)) if a.size else 0.0

    t, fresh = len(gs), [n**beta2_decay for n in range(1, len(gs) + 1)]
    weights = [fresh[i] * math.prod(1 - b for b in fresh[i + 1 :]) for i in range(t)]
    v = sum(w * g * g for w, g in zip(weights, gs))
    state: dict[str, Any] = {"variance": v}
    if gs[0].ndim > 1:
        rows, columns = v.mean(-1), v.mean(-2)
        state = {"row_var": rows, "col_var": columns}
        v = np.einsum("...i,...j,...->...ij", rows, columns, 1 / np.maximum(rows.mean(-1), eps[0]))
    u = gs[-1] / np.maximum(np.sqrt(v), eps[0])
    size = max(eps[1], rms(ps[-1])) * min(lr, t**-0.5)
    return ps[-1] * (1 - lr * weight_decay) - size * u / max(1, rms(u) / d), state


def muon(ps, gs, lr, weight_decay, momentum, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn):
    buffer = average(gs, momentum)
    direction = (1 - momentum) * gs[-1] + momentum * buffer if nesterov else buffer
    left, s, right = np.linalg.svd(direction, full_matrices=False)
    s = s / max(math.sqrt(np.sum(s * s)), eps)
    for _ in range(ns_steps):  # on singular values the iteration is an odd polynomial
        s = sum(c * s ** (2 * i + 1) for i, c in enumerate(ns_coefficients))
    rows, columns = ps[-1].shape
    ratio = (
        0.2 * math.sqrt(max(rows, columns)) if adjust_lr_fn == "match_rms_adamw" else math.sqrt(max(1, rows / columns))
    )
    return ps[-1] * (1 - lr * weight_decay) - lr * ratio * (left * s) @ right, {"momentum_buffer": buffer}


PAPERS = {
    "SGD": sgd, "ASGD": asgd, "Rprop": rprop, "Adam": adam, "AdamW": adam, "Adamax": adamax, "NAdam": nadam,
    "RAdam": radam, "Adagrad": adagrad, "RMSprop": rmsprop, "Adadelta": adadelta, "Adafactor": adafactor, "Muon": muon,
}  # fmt: skip
COUNTS_STEPS = set(PAPERS) - {"SGD", "Muon"}
OWN_DECAY = {"Adafactor", "Muon"}  # decoupled always, and part of their own formula
KINDS = ("steps", "groups", "missing", "mixed", "empty", "smooth")


def dense(g: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A sparse gradient with its repeated rows added up."""
    if not isinstance(g, tuple):
        return np.asarray(g)
    total = np.zeros(shape, np.asarray(g[1]).dtype)
    for row, value in zip(*g):
        total[row] += value
    return total


def follow(name: str, p: np.ndarray, gradients: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameter (under "") and the state after each step, None where nothing is given to it."""
    options = {**OPTIMIZERS[name].defaults, **options}
    options.pop("inner", None)
    sign, decay = -1.0 if options.pop("maximize", False) else 1.0, options.get("weight_decay", 0.0)
    decoupled = name == "AdamW" or options.get("decoupled_weight_decay", False)
    ps, gs, state = [p], [], {}
    shown = []
    for given in gradients:
        if given is not None:
            point, g = ps[-1], sign * dense(given, p.shape)
            if name not in OWN_DECAY:
                g = g if decoupled else g + decay * point
                point = point * (1 - options["lr"] * decay) if decoupled else point
            gs.append(g)
            new, state = PAPERS[name]([*ps[:-1], point], gs, **options)
            ps.append(new)
            if name in COUNTS_STEPS:
                state["step"] = len(gs)
        shown.append({"": ps[-1], **state})
    return shown


def wanted(name: str, case: Case) -> list[dict[str, Any]]:
    parameters, steps, _ = case.args
    snapshots: list[dict[str, Any]] = [{} for _ in steps]
    for i, p in enumerate(map(np.asarray, parameters)):
        start, options = owners(case)[i]
        gradients = [g[i] if t >= start else None for t, g in enumerate(steps)]
        if p.dtype.kind == "c":  # two real numbers each, which know nothing of each other
            parts = [
                follow(name, part(p), [None if g is None else part(dense(g, p.shape)) for g in gradients], options)
                for part in (np.real, np.imag)
            ]
            found = [{k: a[k] if np.size(a[k]) != p.size or np.ndim(a[k]) != p.ndim else a[k] + 1j * b[k] for k in a}
                     for a, b in zip(*parts)]  # fmt: skip
        else:
            found = follow(name, p, gradients, options)
        for snapshot, one in zip(snapshots, found):
            snapshot.update({f"{k} of parameter {i}" if k else f"parameter {i}": v for k, v in one.items()})
    return snapshots


def same(got: list[dict[str, Any]], want: list[dict[str, Any]]) -> None:
    assert len(got) == len(want)
    for step, (a, b) in enumerate(zip(got, want)):
        assert set(a) == set(b)
        for key in a:
            if key.startswith("parameter"):
                assert np.shape(a[key]) == np.shape(b[key])
            np.testing.assert_allclose(
                np.ravel(a[key]), np.ravel(b[key]), rtol=1e-9, atol=1e-11, err_msg=f"{key} after step {step + 1}"
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAPERS)
def test_an_optimizer_takes_the_steps_of_its_paper(name: str, kind: str) -> None:
    for seed in range(12):
        case = OPTIMIZERS[name].cases(SeededDraw(f"{name}/{kind}/{seed}"), kind)
        same(run(OPTIMIZERS[name], case), wanted(name, case))


def test_every_optimizer_is_proved() -> None:
    assert set(PAPERS) | {"SparseAdam"} == set(OPTIMIZERS)


def test_sparse_adam_is_adam_of_the_rows_that_have_a_gradient() -> None:
    """Of each row by itself, with the number of all steps in the corrections."""
    for seed in range(30):
        case = OPTIMIZERS["SparseAdam"].cases(SeededDraw(f"sparse/{seed}"), "sparse")
        options = {**OPTIMIZERS["SparseAdam"].defaults, **case.kwargs}
        got, beta1, beta2 = run(OPTIMIZERS["SparseAdam"], case), *options["betas"]
        for i, start in enumerate(case.args[0]):
            for row in np.ndindex(start.shape[:1]):
                p, ds = start[row], []
                for t, given in enumerate(case.args[1], start=1):
                    if row[0] in given[i][0]:
                        ds.append(dense(given[i], start.shape)[row])
                        m, v = average(ds, beta1), average([d * d for d in ds], beta2)
                        correction = np.sqrt(1 - beta2**t) / (1 - beta1**t)
                        p = p - options["lr"] * correction * m / (np.sqrt(v) + options["eps"])
                        np.testing.assert_allclose(got[t - 1][f"exp_avg of parameter {i}"][row], m, rtol=1e-9)
                        np.testing.assert_allclose(got[t - 1][f"exp_avg_sq of parameter {i}"][row], v, rtol=1e-9)
                    np.testing.assert_allclose(got[t - 1][f"parameter {i}"][row], p, rtol=1e-9, atol=1e-12)
                    assert got[t - 1][f"step of parameter {i}"] == t


@pytest.mark.parametrize("name", ["SGD", "Adagrad"])
def test_a_sparse_gradient_counts_as_the_dense_one(name: str) -> None:
    for seed in range(20):
        case = OPTIMIZERS[name].cases(SeededDraw(f"{name}/{seed}"), "sparse")
        same(run(OPTIMIZERS[name], case), wanted(name, case))


def turned(g: Any) -> Any:
    return (g[0], -g[1]) if isinstance(g, tuple) else -g


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if "maximize" in OPTIMIZERS[n].defaults])
def test_to_maximize_is_to_minimize_the_negative(name: str) -> None:
    for seed in range(10):
        case = OPTIMIZERS[name].cases(SeededDraw(f"{name}/{seed}"))
        parameters, steps, groups = case.args
        other = Case((parameters, [[turned(g) for g in gs] for gs in steps], groups), {**case.kwargs, "maximize": True})
        same(run(OPTIMIZERS[name], other), run(OPTIMIZERS[name], case))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_how_a_run_is_computed_does_not_change_it(name: str) -> None:
    """Step counts as arrays; every number touched on its way; the numbers inside of an update kept as they are."""
    for seed in range(10):
        case = OPTIMIZERS[name].cases(SeededDraw(f"{name}/{seed}"))
        plain, seen = run(OPTIMIZERS[name], case), []
        if name != "Adafactor":  # nowhere is its step an array
            same(run(OPTIMIZERS[name], case, tensors=True), plain)
        same(run(OPTIMIZERS[name], case, touch=lambda a, seen=seen: seen.append(a) or a), plain)
        assert len(seen) >= 2 * len(case.args[0]) * len(case.args[1])  # every parameter and gradient, at every step
        single = run(OPTIMIZERS[name], case, dtype=np.float32)
        assert all(v.dtype in (np.float32, np.complex64) for k, v in single[-1].items() if k.startswith("parameter"))


def test_what_is_touched_moves_the_run() -> None:
    """Of SGD with momentum: the parameter, the gradient, and from the second step on the buffer."""
    case = Case(([np.array([2.0])], [[np.array([1.0])], [np.array([1.0])]], []), {"lr": 0.5, "momentum": 0.5})
    first, second = (s["parameter 0"] for s in run(OPTIMIZERS["SGD"], case, touch=lambda a: a + 1.0))
    assert first == [3.0 - 0.5 * 2.0]  # the buffer is the gradient, 1 + 1
    assert second == [3.0 - 0.5 * (0.5 * 3.0 + 2.0)]
