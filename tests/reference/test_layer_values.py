"""What a layer computes: the function of its name, or the published formula."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from conformance.draws import SeededDraw
from reference import lookup, rules
from reference.nn import LAYERS
from reference.nn.layer import placed, settled
from tests.reference.test_recurrent import step_of


def plain(name: str) -> str:
    return name.rpartition(".")[2].lower().replace("_", "")


# the function of a layer has its name: nn.AvgPool1d is nn.functional.avg_pool1d
FUNCTIONS = {
    name: function
    for function in sorted(rules(), key=lambda f: f.startswith("nn.functional."))  # which is preferred
    if "." not in function.removeprefix("nn.functional.")
    for name in LAYERS
    if plain(name) == plain(function)
} | {
    "nn.BCELoss": "nn.functional.binary_cross_entropy", "nn.Softmax2d": "nn.functional.softmax",
    "nn.BCEWithLogitsLoss": "nn.functional.binary_cross_entropy_with_logits",
    "nn.CrossEntropyLoss": "nn.functional.cross_entropy", "nn.KLDivLoss": "nn.functional.kl_div",
    "nn.NLLLoss2d": "nn.functional.nll_loss", "nn.LocalResponseNorm": "nn.functional.local_response_norm",
    "nn.CrossMapLRN2d": "nn.functional.local_response_norm", "nn.Upsample": "nn.functional.interpolate",
}  # fmt: skip
OTHERWISE = {  # other arguments, or more than the function does: below
    *("nn.Hardtanh", "nn.Unflatten", "nn.EmbeddingBag", "nn.GRU", "nn.LSTM", "nn.GRUCell", "nn.LSTMCell"),
    *("nn.GroupNorm", "nn.LayerNorm", "nn.RMSNorm"),
    *(f"nn.{name}{n}d" for name in ("Conv", "ConvTranspose", "MaxUnpool") for n in (1, 2, 3)),
}
SAME = sorted(set(FUNCTIONS) - OTHERWISE)
FIXED = {"nn.Softmax2d": {"dim": -3}}


class Drawn:
    """A case of a layer, and what it gives."""

    def __init__(self, name: str, seed: int):
        self.layer = LAYERS[name]
        case = self.layer.rule.cases(SeededDraw(f"{name}/value/{seed}"))
        xs, ps, bs, args, kwargs, places, self.training = case.args
        described = settled(self.layer.describe, args, kwargs, placed(places, xs))
        bound = inspect.signature(self.layer.describe).bind(*args, **kwargs)
        bound.apply_defaults()
        self.options: dict[str, Any] = {k: v for k, v in bound.arguments.items() if k not in ("device", "dtype")}
        self.values = {**dict(zip(described.parameters, ps)), **dict(zip(described.buffers, bs))}
        self.inputs = placed(places, xs)
        self.out, _ = self.layer.rule(*case.args, **case.kwargs)


def same(got: Any, want: Any) -> None:
    pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def every(name: str, count: int = 40) -> list[Drawn]:
    return [Drawn(name, seed) for seed in range(count)]


def called(function: str, *args: Any, **kwargs: Any) -> Any:
    return lookup(function)(*args, **kwargs)[0]


@pytest.mark.parametrize("name", SAME)
def test_a_layer_is_the_function_of_its_name(name: str) -> None:
    parameters = list(lookup(FUNCTIONS[name]).signature.parameters)
    for drawn in every(name, 25):
        known = {**drawn.options, **drawn.values, "training": drawn.training, **FIXED.get(name, {})}
        taken = {k: v for k, v in known.items() if k in parameters[len(drawn.inputs) :]}
        same(drawn.out, called(FUNCTIONS[name], *drawn.inputs, **taken))


MODES = {"Circular": "wrap", "Reflection": "reflect", "Replication": "edge", "Constant": "constant", "Zero": "constant"}


@pytest.mark.parametrize("name", [n for n in LAYERS if "Pad" in n])
def test_a_padding_layer_is_numpys_pad(name: str) -> None:
    axes, mode = int(name[-2]), MODES[name.removeprefix("nn.")[:-5]]
    for drawn in every(name):
        (x,), widths = drawn.inputs, drawn.options["padding"]
        widths = [widths] * (2 * axes) if isinstance(widths, int) else widths
        pairs = list(zip(widths[::2], widths[1::2]))[::-1]  # the last axis comes first
        pairs = [(0, 0)] * (x.ndim - axes) + pairs
        fill = {"constant_values": drawn.options.get("value", 0.0)} if mode == "constant" else {}
        if mode == "wrap":  # what is cut off does not come again at the other end
            x = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, x.shape))]
            pairs = np.maximum(pairs, 0)
        wide = np.pad(x, np.maximum(pairs, 0), mode, **fill)
        same(drawn.out, wide[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, wide.shape))])


def each(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("lazy", ["", "Lazy"])
def test_a_convolution_pads_first(n: int, lazy: str) -> None:
    modes = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    for drawn in every(f"nn.{lazy}Conv{n}d"):
        (x,), o, weight = drawn.inputs, drawn.options, drawn.values["weight"]
        reach = [d * (k - 1) for d, k in zip(each(o["dilation"], n), weight.shape[2:])]
        if isinstance(o["padding"], str):
            pairs = [(r // 2, (r + 1) // 2) if o["padding"] == "same" else (0, 0) for r in reach]
        else:
            pairs = [(p, p) for p in each(o["padding"], n)]
        wide = np.pad(x, [(0, 0)] * (x.ndim - n) + pairs, modes[o["padding_mode"]])
        options = {k: o[k] for k in ("stride", "dilation", "groups")}
        same(drawn.out, called(f"conv{n}d", wide, weight, drawn.values.get("bias"), **options))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("lazy", ["", "Lazy"])
def test_a_transposed_convolution_may_be_told_its_size(n: int, lazy: str) -> None:
    for drawn in every(f"nn.{lazy}ConvTranspose{n}d"):
        (x, *size), weight, bias = drawn.inputs, drawn.values["weight"], drawn.values.get("bias")
        options = {k: drawn.options[k] for k in ("stride", "padding", "output_padding", "groups", "dilation")}
        if size and size[0] is not None:
            least = called(f"conv_transpose{n}d", x, weight, bias, **{**options, "output_padding": 0}).shape[-n:]
            options["output_padding"] = tuple(s - m for s, m in zip(size[0][-n:], least))
        same(drawn.out, called(f"conv_transpose{n}d", x, weight, bias, **options))


def standardized(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def scaled(y: np.ndarray, drawn: Drawn, shape: tuple[int, ...]) -> np.ndarray:
    weight, bias = drawn.values.get("weight"), drawn.values.get("bias")
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def channels(x: np.ndarray) -> tuple[int, ...]:
    return (-1, *(1,) * (x.ndim - 2))


BATCH = [n for n in LAYERS if "BatchNorm" in n]


@pytest.mark.parametrize("name", BATCH)
def test_batch_norm_standardizes_each_channel(name: str) -> None:
    for drawn in every(name):
        (x,), eps = drawn.inputs, drawn.options["eps"]
        if drawn.training or not drawn.options["track_running_stats"]:
            y = standardized(x, (0, *range(2, x.ndim)), eps)
        else:
            mean, var = (drawn.values[k].reshape(channels(x)) for k in ("running_mean", "running_var"))
            y = (x - mean) / np.sqrt(var + eps)
        same(drawn.out, scaled(y, drawn, channels(x)))


@pytest.mark.parametrize("name", [n for n in LAYERS if "InstanceNorm" in n])
def test_instance_norm_standardizes_each_channel_of_each_instance(name: str) -> None:
    n = int(name[-2])
    for drawn in every(name):
        (x,), eps = drawn.inputs, drawn.options["eps"]
        shape = (-1, *(1,) * n)
        if drawn.training or not drawn.options["track_running_stats"]:
            y = standardized(x, tuple(range(-n, 0)), eps)
        else:
            mean, var = (drawn.values[k].reshape(shape) for k in ("running_mean", "running_var"))
            y = (x - mean) / np.sqrt(var + eps)
        same(drawn.out, scaled(y, drawn, shape))


@pytest.mark.parametrize("name", [n for n in LAYERS if "BatchNorm" in n or "InstanceNorm" in n])
def test_running_statistics_are_averages_that_forget(name: str) -> None:
    """By `momentum`, or of all batches alike where that is None; the variance is unbiased."""
    rng = np.random.default_rng(0)
    n = int(name[-2]) if name[-2].isdigit() else 2
    for momentum in (0.1, 0.5) if "Instance" in name else (0.1, 0.5, None):
        features = () if "Lazy" in name else (3,)
        options = {"momentum": momentum, "track_running_stats": True}
        made = settled(LAYERS[name].describe, features, options, (np.zeros((4, 3, *(5,) * n)),))
        state, seen = dict(made.buffers), []
        for _ in range(3):
            x = rng.standard_normal((4, 3, *(5,) * n)) + 1.0
            state = made.after(state, x)
            axes = tuple(range(2, x.ndim))
            if "Instance" in name:
                seen.append((x.mean(axes).mean(0), x.var(axes, ddof=1).mean(0)))
            else:
                seen.append((x.mean((0, *axes)), x.var((0, *axes), ddof=1)))
        for key, start, at in (("running_mean", 0.0, 0), ("running_var", 1.0, 1)):
            if momentum is None:
                want = np.mean([s[at] for s in seen], axis=0)
            else:
                want = (1 - momentum) ** 3 * start + sum(
                    momentum * (1 - momentum) ** (2 - i) * s[at] for i, s in enumerate(seen)
                )
            same(state[key], want)
        assert state.get("num_batches_tracked") == (None if "Instance" in name else 3)


@pytest.mark.parametrize("name", ["nn.GroupNorm", "nn.LayerNorm", "nn.RMSNorm"])
def test_a_norm_divides_by_the_spread_of_its_group(name: str) -> None:
    for drawn in every(name):
        (x,), o = drawn.inputs, drawn.options
        if name == "nn.GroupNorm":
            groups = x.reshape(x.shape[0], o["num_groups"], -1)
            y = scaled(standardized(groups, (2,), o["eps"]).reshape(x.shape), drawn, channels(x))
        else:
            shape = each(o["normalized_shape"], 1)
            axes = tuple(range(-len(shape), 0))
            eps = np.finfo(float).eps if o["eps"] is None else o["eps"]
            y = (
                x / np.sqrt((x * x).mean(axes, keepdims=True) + eps)
                if name == "nn.RMSNorm"
                else standardized(x, axes, eps)
            )
            y = scaled(y, drawn, shape)
        same(drawn.out, y)


def test_simple_layers() -> None:
    for drawn in every("nn.Hardtanh"):
        low, high = drawn.options["min_value"], drawn.options["max_value"]
        low, high = drawn.options["min_val"] if low is None else low, drawn.options["max_val"] if high is None else high
        same(drawn.out, np.clip(drawn.inputs[0], low, high))
    for drawn in every("nn.LazyLinear"):
        same(drawn.out, drawn.inputs[0] @ drawn.values["weight"].T + drawn.values.get("bias", 0.0))
    for drawn in every("nn.Identity"):
        same(drawn.out, drawn.inputs[0])
    for mode, name in (("nearest", "nn.UpsamplingNearest2d"), ("bilinear", "nn.UpsamplingBilinear2d")):
        for drawn in every(name):
            corners = {"align_corners": True} if mode == "bilinear" else {}
            same(drawn.out, called("nn.functional.interpolate", *drawn.inputs, **drawn.options, mode=mode, **corners))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpooling_is_the_function(n: int) -> None:
    for drawn in every(f"nn.MaxUnpool{n}d"):
        x, indices, *size = drawn.inputs
        options = {**drawn.options, **({"output_size": size[0]} if size else {})}
        same(drawn.out, called(f"nn.functional.max_unpool{n}d", x, indices, **options))


@pytest.mark.parametrize("name", ["nn.RNN", "nn.GRU", "nn.LSTM"])
def test_a_recurrent_network_goes_over_each_sequence_by_itself(name: str) -> None:
    """Padded, packed, alone and out of order: every sequence by the equations of the cell, one layer after another."""
    for drawn in every(name, 80):
        o, dropped = drawn.options, drawn.options["dropout"] and drawn.training
        lstm, projected = name == "nn.LSTM", o.get("proj_size", 0)
        kind = f"rnn_{o['nonlinearity']}" if name == "nn.RNN" else name[3:].lower()
        sequences, states = taken_apart(drawn, lstm)
        for number, (sequence, state) in enumerate(zip(sequences, states)):
            y, last = list(sequence), []
            for depth in range(o["num_layers"]):
                sides = []
                for direction, suffix in enumerate(["", "_reverse"][: 1 + o["bidirectional"]]):
                    ends = f"_l{depth}{suffix}"
                    w = [drawn.values.get(f"{k}{ends}", 0.0) for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
                    hr = drawn.values.get(f"weight_hr{ends}")
                    h, c = (s[2 * depth + direction if o["bidirectional"] else depth] for s in state)
                    out = []
                    for x in y[::-1] if direction else y:
                        h, c = step_of(kind, x, h, c, *with_biases(w))
                        h = hr @ h if projected else h
                        out.append(h)
                    last.append((h, c))
                    sides.append(out[::-1] if direction else out)
                y = [np.concatenate(parts) for parts in zip(*sides)]
                if dropped and depth + 1 < o["num_layers"]:
                    y = [np.zeros_like(v) for v in y]  # the probability is 1 in every case
            got_y, got_last = output_of(drawn, number, len(sequence), lstm)
            same(got_y, np.reshape(y, got_y.shape))
            for got, want in zip(got_last, zip(*last)):
                same(got, np.stack(want))


def with_biases(w: list[Any]) -> list[Any]:
    return [w[0], w[1], *(np.zeros(len(w[0])) if np.ndim(b) == 0 else b for b in w[2:])]


def packed_rows(drawn: Drawn) -> tuple[list[int], list[list[int]], list[int]]:
    """Of a packed input the batch sizes, the rows of each sorted sequence, and which one each sequence is."""
    _, _, sizes, *order = drawn.inputs[0]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = [[int(starts[t]) + n for t, size in enumerate(sizes) if n < size] for n in range(sizes[0])]
    return list(sizes), rows, list(order[0]) if order else list(range(sizes[0]))


def taken_apart(drawn: Drawn, lstm: bool) -> tuple[list[np.ndarray], list[Any]]:
    """The sequences, and for each its first h and c (h twice where there is no c)."""
    x, *hx = drawn.inputs
    o = drawn.options
    rows = o["num_layers"] * (1 + o["bidirectional"])
    widths = (o.get("proj_size") or o["hidden_size"], o["hidden_size"])
    alone = not isinstance(x, tuple) and x.ndim == 2
    if isinstance(x, tuple):
        _, places, which = packed_rows(drawn)
        sequences = [x[1][places[n]] for n in which]
    elif alone:
        sequences = [x]
    else:
        sequences = list(x if o["batch_first"] else x.swapaxes(0, 1))
    if not hx:
        return sequences, [[np.zeros((rows, w)) for w in widths]] * len(sequences)
    given = hx[0] if lstm else (hx[0], hx[0])
    if alone:
        return sequences, [list(given)]
    return sequences, [[s[:, n] for s in given] for n in range(len(sequences))]


def output_of(drawn: Drawn, number: int, length: int, lstm: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """The outputs of one sequence, and its last h (and c)."""
    x, (y, *more) = drawn.inputs[0], drawn.out
    last = more[-2:] if lstm else more[-1:]
    if isinstance(x, tuple):
        _, places, which = packed_rows(drawn)
        return y[places[which[number]]], [s[:, number] for s in last]
    if x.ndim == 2:
        return y, last
    return (y[number] if drawn.options["batch_first"] else y[:, number]), [s[:, number] for s in last]


@pytest.mark.parametrize("name", ["nn.RNNCell", "nn.GRUCell", "nn.LSTMCell"])
def test_a_cell_takes_one_step(name: str) -> None:
    for drawn in every(name):
        (x, *hx), lstm = drawn.inputs, name == "nn.LSTMCell"
        kind = f"rnn_{drawn.options['nonlinearity']}" if name == "nn.RNNCell" else name[3:-4].lower()
        w = with_biases([drawn.values.get(k, 0.0) for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")])
        zeros = np.zeros((*x.shape[:-1], drawn.options["hidden_size"]))
        h, c = (hx[0] if lstm else (hx[0], hx[0])) if hx else (zeros, zeros)
        steps = [step_of(kind, *parts, *w) for parts in zip(*(np.atleast_2d(v) for v in (x, h, c)))]
        want = tuple(np.reshape([s[i] for s in steps], zeros.shape) for i in (0, 1))
        same(drawn.out, want if lstm else want[0])


INITIAL = {  # each weight and bias is uniform within 1 / sqrt(fan in)
    "nn.Linear": ((6, 3), {}, 6), "nn.Bilinear": ((6, 3, 2), {}, 6), "nn.RNN": ((3, 6), {}, 6),
    "nn.GRU": ((3, 6), {}, 6), "nn.LSTM": ((3, 6), {}, 6), "nn.LSTMCell": ((3, 6), {}, 6),
    "nn.Conv1d": ((6, 4, 3), {"groups": 2}, 9), "nn.Conv2d": ((6, 4, (3, 2)), {}, 36),
    "nn.Conv3d": ((6, 4, 2), {"groups": 2}, 24), "nn.ConvTranspose2d": ((6, 4, (3, 2)), {"groups": 2}, 12),
    "nn.LinearCrossEntropyLoss": ((6, 3), {"bias": True}, 6),
}  # fmt: skip


@pytest.mark.parametrize("name", INITIAL)
def test_initial_weights_are_uniform_within_the_root_of_the_fan_in(name: str) -> None:
    args, options, fan = INITIAL[name]
    for parameter in LAYERS[name].describe(*args, **options).parameters.values():
        assert parameter.initial.mean == pytest.approx(0.0, abs=1e-15)
        assert parameter.initial.variance == pytest.approx(1 / (3 * fan))  # of the uniform law on [-a, a]: a^2 / 3


def test_an_encoder_layer_adds_attention_and_two_linear_maps_with_norms_before_or_after() -> None:
    """Vaswani et al., arXiv:1706.03762, section 3.1; norms first as in Xiong et al., arXiv:2002.04745."""
    for drawn in every("nn.TransformerEncoderLayer", 60):
        (x, mask, padding), o, p = (*drawn.inputs, None, None)[:3], drawn.options, drawn.values
        kept = 1 - o["dropout"] if drawn.training else 1
        if not isinstance(o["activation"], str):
            continue  # another layer as the activation
        gelu = o["activation"] == "gelu"

        def attend(y, x=x, mask=mask, padding=padding, o=o, p=p):
            first = o["batch_first"] and x.ndim == 3
            y = y.swapaxes(0, 1) if first else y
            weights = [
                p.get(f"self_attn.{k}") for k in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
            ]
            out = called(
                "nn.functional.multi_head_attention_forward", y, y, y, o["d_model"], o["nhead"], *weights[:2],
                None, None, False, 0.0, *weights[2:],
                training=False, key_padding_mask=padding, need_weights=False, attn_mask=mask,
            )[0]  # fmt: skip
            return out.swapaxes(0, 1) if first else out

        def linear(name, y, p=p):
            return y @ p[f"{name}.weight"].T + p.get(f"{name}.bias", 0.0)

        def forth(y, gelu=gelu, kept=kept, linear=linear):
            y = linear("linear1", y)
            return linear("linear2", kept * (called("nn.functional.gelu", y) if gelu else np.maximum(y, 0)))

        def norm(i, y, o=o, p=p):
            return standardized(y, (-1,), o["layer_norm_eps"]) * p[f"norm{i}.weight"] + p.get(f"norm{i}.bias", 0.0)

        for i, step in enumerate((attend, forth), start=1):
            x = x + kept * step(norm(i, x)) if o["norm_first"] else norm(i, x + kept * step(x))
        same(drawn.out, x)
