"""torch.nn.init beside the laws of its random functions: matrices that are given, gains, errors, what is left alone."""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
import torch
from torch.nn import init

from conformance.behaviours.promise import promise
from conformance.behaviours.say import close, numbers, raises, same

PAGE = "nn.init.html"
ALL = {"float32": 2, "float64": 3, "bfloat16": 3, "float16": 3}
FILLED = {
    "uniform_": (), "normal_": (), "trunc_normal_": (), "constant_": (0.5,), "ones_": (), "zeros_": (), "eye_": (),
    "xavier_uniform_": (), "xavier_normal_": (), "kaiming_uniform_": (), "kaiming_normal_": (), "orthogonal_": (),
    "sparse_": (0.5,),
}  # fmt: skip
OLD = (
    "uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "xavier_normal", "kaiming_uniform",
    "kaiming_normal", "orthogonal", "sparse",
)  # fmt: skip


@promise("nn.init", "nn.init.constant_", link=PAGE, levels=ALL)
def the_tensor_itself_is_filled_and_no_graph_made(device: torch.device, dtype: torch.dtype) -> None:
    """Every function fills the tensor in place and returns it, a leaf that requires a gradient too, in no graph."""
    for name, given in FILLED.items():
        if name == "orthogonal_" and dtype in (torch.bfloat16, torch.float16):
            continue  # no QR in half precision
        memory = torch.full((4, 6), 7.0, dtype=dtype, device=device)
        for w in (torch.nn.Parameter(memory), torch.nn.Parameter(memory.t())):
            w.data.fill_(7.0)
            out = getattr(init, name)(w, *given)
            same((out is w, w.is_leaf, w.requires_grad, w.grad_fn), (True, True, True, None), name)
            same((numbers(w) == 7.0).any(), np.False_, f"{name}: what is left as it was")


@promise("nn.init", "nn.init.constant_", link=PAGE, levels=ALL, covers=("nn.init.ones_", "nn.init.zeros_"))
def every_number_is_the_one_that_was_asked_for(device: torch.device, dtype: torch.dtype) -> None:
    """constant_ fills with the value, ones_ with 1, zeros_ with 0."""
    w = torch.empty(3, 5, dtype=dtype, device=device)
    for fill, value in ((lambda t: init.constant_(t, -0.375), -0.375), (init.ones_, 1.0), (init.zeros_, 0.0)):
        same(fill(w), torch.full((3, 5), value, dtype=dtype, device=device))


@promise("nn.init", "nn.init.eye_", link=PAGE, levels=ALL)
def eye_is_the_identity_as_far_as_it_goes(device: torch.device, dtype: torch.dtype) -> None:
    """Fills the 2-dimensional tensor with the identity matrix: 1 where row and column agree, else 0."""
    for shape in ((3, 5), (5, 3), (4, 4)):
        got = init.eye_(torch.full(shape, 7.0, dtype=dtype, device=device))
        same(got, torch.from_numpy(np.eye(*shape)).to(device, dtype))


@promise("nn.init", "nn.init.dirac_", link=PAGE, levels=ALL)
def dirac_preserves_channels(device: torch.device, dtype: torch.dtype) -> None:
    """As many channels as possible are preserved, in each group: 1 in the middle of the kernel of channel d to d."""
    for shape, groups in (((4, 3, 3), 1), ((4, 2, 3, 3), 2), ((2, 5, 2, 3), 1), ((6, 2, 3, 1, 5), 3), ((2, 4, 5), 2)):
        want = np.zeros(shape)
        per_group = shape[0] // groups
        for c in range(shape[0]):
            if c % per_group < shape[1]:
                want[(c, c % per_group, *(k // 2 for k in shape[2:]))] = 1.0
        got = init.dirac_(torch.full(shape, 7.0, dtype=dtype, device=device), groups)
        same(got, torch.from_numpy(want).to(device, dtype), f"dirac_ of {shape} in {groups} groups")


@promise("nn.init", "nn.init.dirac_", link=PAGE)
def a_convolution_with_dirac_weights_gives_its_input(device: torch.device, dtype: torch.dtype) -> None:
    """dirac_ preserves the identity of the inputs of a convolution."""
    x = torch.arange(24, dtype=dtype, device=device).reshape(1, 2, 3, 4) - 12
    w = init.dirac_(torch.empty(2, 2, 3, 3, dtype=dtype, device=device))
    same(torch.nn.functional.conv2d(x, w, padding=1), x)


@promise("nn.init", "nn.init.orthogonal_", link=PAGE, levels={"float32": 2, "float64": 3})
def rows_or_columns_are_orthonormal(device: torch.device, dtype: torch.dtype, seed: int) -> None:
    """The matrix is (semi) orthogonal, times gain; trailing dimensions are flattened."""
    torch.manual_seed(seed)
    for shape, gain in (((5, 5), 1.0), ((3, 7), 2.0), ((7, 3), 0.5), ((4, 2, 3, 3), 1.0), ((9, 2, 2), 3.0)):
        w = init.orthogonal_(torch.empty(shape, dtype=dtype, device=device), gain)
        q = w.reshape(shape[0], -1)
        product = q @ q.t() if q.shape[0] <= q.shape[1] else q.t() @ q
        close(product, gain**2 * np.eye(product.shape[0]), f"Q Q^T of {shape}", scale=gain**2 * max(q.shape))


@promise("nn.init", "nn.init.orthogonal_", link=PAGE)
def orthogonal_matrices_are_drawn_alike(device: torch.device, dtype: torch.dtype) -> None:
    """The matrix is a random orthogonal one (Saxe and others): by Archimedes' theorem each element of one of 3 x 3 is
    uniform in [-1, 1]."""
    generator = torch.Generator(device).manual_seed(0)
    n = 1500
    drawn = [init.orthogonal_(torch.empty(3, 3, dtype=dtype, device=device), generator=generator) for _ in range(n)]
    x = np.sort(numbers(torch.stack(drawn)), axis=0)
    # the inequality of Dvoretzky, Kiefer and Wolfowitz; a right torch fails for one seed in 1e9 in each element
    limit = math.sqrt(math.log(2e9) / (2 * n))
    ranks = (np.arange(n)[:, None, None] + 0.5) / n
    worst = np.abs((x + 1) / 2 - ranks).max(axis=0)
    assert (worst <= limit).all(), f"distance of each element's distribution from uniform: {worst}, chance is {limit}"


@promise("nn.init", "nn.init.calculate_gain", link=PAGE)
def gains_are_those_of_the_table(device: torch.device, dtype: torch.dtype) -> None:
    """1 for linear, convolutions and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + slope^2)) for leaky_relu,
    3/4 for selu."""
    linear = [f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3)]
    for name in ["linear", "sigmoid", *linear]:
        assert init.calculate_gain(name) == 1, name
    found = [init.calculate_gain(name) for name in ("tanh", "relu", "leaky_relu", "selu")]
    found += [init.calculate_gain("leaky_relu", slope) for slope in (0, 0.5, -2.0)]
    want = [5 / 3, 2**0.5, (2 / 1.0001) ** 0.5, 0.75, 2**0.5, 1.6**0.5, 0.4**0.5]
    assert np.allclose(found, want, rtol=1e-15, atol=0), (found, want)


@promise("nn.init", "nn.init.calculate_gain", link=PAGE)
def unknown_gains_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """A nonlinearity that is not in the table, or a slope that is no number, raises ValueError."""
    raises(ValueError, lambda: init.calculate_gain("softplus"), "Unsupported nonlinearity")
    raises(ValueError, lambda: init.calculate_gain("leaky_relu", True), "not a valid number")
    raises(ValueError, lambda: init.calculate_gain("leaky_relu", "steep"), "not a valid number")


@promise("nn.init", "nn.init.kaiming_uniform_", link=PAGE)
def fans_need_two_dimensions(device: torch.device, dtype: torch.dtype) -> None:
    """Fan in and fan out cannot be computed for fewer than 2 dimensions: ValueError, and the tensor is as it was."""
    w = torch.full((3, 4), 7.0, dtype=dtype, device=device)
    for fill in (init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_):
        for flat in (w[0], w[0, 0]):
            raises(ValueError, functools.partial(fill, flat), "fewer than 2 dimensions")
    raises(ValueError, lambda: init.kaiming_normal_(w, mode="fan_average"), "Mode fan_average not supported")
    raises(ValueError, lambda: init.kaiming_uniform_(w, nonlinearity="softplus"), "Unsupported nonlinearity")
    same(w, torch.full_like(w, 7.0))


@promise("nn.init", "nn.init.eye_", link=PAGE)
def tensors_of_another_dimension_are_refused(device: torch.device, dtype: torch.dtype) -> None:
    """eye_ and sparse_ take 2 dimensions, dirac_ 3 to 5 and a first one that groups divides, orthogonal_ 2 or more."""
    flat, cube = torch.empty(4, dtype=dtype, device=device), torch.empty(4, 3, 3, dtype=dtype, device=device)
    for wrong in (lambda: init.eye_(cube), lambda: init.sparse_(cube, 0.5), lambda: init.sparse_(flat, 0.5)):
        raises(ValueError, wrong, "Only tensors with 2 dimensions are supported")
    raises(ValueError, lambda: init.dirac_(cube[0]), "Only tensors with 3, 4, or 5 dimensions")
    raises(ValueError, lambda: init.dirac_(cube, groups=3), "divisible by groups")
    raises(ValueError, lambda: init.orthogonal_(flat), "Only tensors with 2 or more dimensions")


@promise("nn.init", "nn.init.kaiming_uniform_", link=PAGE)
def nothing_is_done_to_nothing(device: torch.device, dtype: torch.dtype) -> None:
    """A tensor without elements is returned as it is, with a warning."""
    for fill in (init.kaiming_uniform_, init.kaiming_normal_):
        w = torch.empty(0, 3, dtype=dtype, device=device)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            same(fill(w) is w, True)
        same(["zero-element" in str(s.message) for s in said], [True])


@promise("nn.init", "nn.init.uniform", link=PAGE, covers=tuple(f"nn.init.{name}" for name in OLD))
def the_old_name_warns_and_does_the_same(device: torch.device, dtype: torch.dtype) -> None:
    """The names without an underscore are deprecated in favour of those with one: they warn, and call them."""
    for path in OLD:
        made, given = [], (0.5,) if path in ("constant", "sparse") else ()
        for name in (path, path + "_"):
            w = torch.empty((3, 3, 3) if path == "dirac" else (4, 3), dtype=dtype, device=device)
            torch.manual_seed(7)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                made.append(getattr(init, name)(w, *given))
            same(["deprecated" in str(s.message) for s in said], [True] if name == path else [], name)
        same(made[0], made[1], path)


@promise("nn.init", "nn.Module.apply", link="generated/torch.nn.Module.html#torch.nn.Module.apply")
def initial_values_are_set_by_apply(device: torch.device, dtype: torch.dtype) -> None:
    """apply calls a function with every module, children first and the module itself last, and gives the module: the
    way to set initial values by the kind of a layer."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    net.to(device, dtype)
    called = []

    def custom(m: torch.nn.Module) -> None:
        called.append(m)
        if isinstance(m, torch.nn.Linear):
            init.constant_(m.weight, 2.0)
            init.constant_(m.bias, -3.0)

    same(net.apply(custom) is net, True)
    same([c is m for c, m in zip(called, (net[0], net[1][0], net[1][1], net[1], net))], [True] * 5)
    x = torch.tensor([[1.0, 3.0]], dtype=dtype, device=device, requires_grad=True)
    out = net(x)  # 2 (1 + 3) - 3 = 5, then 2 (5 + 5) - 3 = 17
    same(out.detach(), x.new_tensor([[17.0, 17.0]]))
    out.backward(x.new_tensor([[1.0, -3.0]]))
    same(x.grad, x.new_tensor([[-16.0, -16.0]]))
    same([p.grad.tolist() for p in net[1][0].parameters()], [[[5.0, 5.0], [-15.0, -15.0]], [1.0, -3.0]])
    same([p.grad.tolist() for p in net[0].parameters()], [[[-4.0, -12.0], [-4.0, -12.0]], [-4.0, -4.0]])


@promise("nn.init", "nn.init.xavier_normal_", link=PAGE)
def xavier_of_every_weight_by_apply(device: torch.device, dtype: torch.dtype) -> None:
    """Through apply, weights of all layers get the standard deviation gain sqrt(2 / (fan_in + fan_out)) of their own
    shapes, and what the function leaves alone stays."""
    net = torch.nn.Sequential(torch.nn.Linear(300, 100), torch.nn.Conv2d(20, 30, 5), torch.nn.BatchNorm2d(30))
    net.to(device, dtype)
    torch.manual_seed(0)
    net.apply(lambda m: init.xavier_normal_(m.weight, 2.0) if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d)) else m)
    for layer, fans in ((net[0], 400), (net[1], 1250)):
        std = 2 * math.sqrt(2 / fans)
        found, n = numbers(layer.weight), layer.weight.numel()
        # that of a sample's variance is sqrt(2 / n) of it; chance goes beyond six times that once in 1e9
        assert abs(found.var() / std**2 - 1) <= 6.1 * math.sqrt(2 / n), (found.std(), std)
        assert abs(found.mean()) <= 6.1 * std / math.sqrt(n), (found.mean(), std)
    same(net[2].weight.detach(), torch.ones(30, dtype=dtype, device=device))
