"""What every module promises beside its numbers. Each function asserts it of the modules that `make` gives.

They use torch alone, so that a failure's script is their source. `given` are the positional inputs of a call,
`make(dtype=...)` gives keywords to the constructor; a function returns NotImplemented where the module has
nothing that the promise is about.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False
import copy
import io

import torch

PROMISES = ("state_dict", "copies", "casts", "factory", "representation", "freezing", "modes", "meta", "lazy")


def flat(out):
    """The tensors of an output, in order."""
    if not isinstance(out, tuple):
        return [out]
    return [t for part in out for t in (flat(part) if isinstance(part, tuple) else [part]) if t is not None]


def same(a, b):
    """Whether two outputs are equal bit for bit (nan equals nan)."""
    pairs = list(zip(flat(a), flat(b)))
    return len(flat(a)) == len(flat(b)) and all(
        x.dtype == y.dtype and torch.equal(x.isnan(), y.isnan()) and torch.equal(x.nan_to_num(), y.nan_to_num())
        if x.is_floating_point() else torch.equal(x, y)
        for x, y in pairs
    )  # fmt: skip


def called(m, given):
    """A call with the same random numbers each time, without gradients, on copies that it may change."""
    torch.manual_seed(0)
    with torch.no_grad():
        return m(*copied(given))


def copied(given):
    """The tensors among the inputs cloned."""
    return packed(
        tuple(copied(g) if isinstance(g, tuple) else g.clone() if isinstance(g, torch.Tensor) else g for g in given)
    )


def packed(given):
    """("packed", data, batch sizes, order) as a PackedSequence, any other tuple as it is."""
    if not given or not isinstance(given[0], str) or given[0] != "packed":
        return given
    data, sizes, *order = given[1:]
    places = [torch.tensor(o, device=data.device) for o in order]
    inverse = [torch.argsort(o) for o in places]
    return torch.nn.utils.rnn.PackedSequence(data, torch.tensor(sizes), *inverse, *places)


def state_dict(make, given, dtype, device):
    """state_dict has every parameter and persistent buffer; loading it strictly restores the module; keys that
    are missing or strange are refused."""
    m, other = make(), make()
    state = {k: v.clone() for k, v in m.state_dict().items() if isinstance(v, torch.Tensor)}
    names = [n for n, _ in m.named_parameters()] + [n for n, _ in m.named_buffers()]
    assert set(state) <= set(names), f"state_dict has {sorted(set(state) - set(names))}, which the module has not"
    assert {n for n, _ in m.named_parameters()} <= set(state), "state_dict lacks a parameter"
    with torch.no_grad():
        for t in other.state_dict().values():
            if isinstance(t, torch.Tensor) and t.is_floating_point():
                t.fill_(0.5)
    keys = other.load_state_dict(m.state_dict())
    assert not keys.missing_keys and not keys.unexpected_keys, f"loading its own state_dict: {keys}"
    for name, t in other.state_dict().items():
        if isinstance(t, torch.Tensor):
            assert torch.equal(t, state[name]), f"{name} differs after loading"
    m.eval(), other.eval()
    assert same(called(m, given), called(other, given)), "the loaded module computes something else"
    refuses(other, {**state, "strange": torch.zeros(1)}, "strange")
    if state:
        name = next(iter(state))
        refuses(other, {k: v for k, v in state.items() if k != name}, name)
        keys = other.load_state_dict({k: v for k, v in state.items() if k != name}, strict=False)
        assert name in keys.missing_keys, f"a missing {name} is not reported"


def refuses(m, state, name):
    """Assert that a strict load raises and names the key."""
    try:
        m.load_state_dict(state)
    except RuntimeError as error:
        assert name in str(error), f"the error does not name {name}"
        return
    raise AssertionError(f"a state_dict in which {name} is wrong was loaded")


def copies(make, given, dtype, device):
    """A deep copy and a pickled module compute the same, and share no storage with the original."""
    m = make().eval()
    called(m, given)  # with max_norm every call may change the table by a rounding
    stream = io.BytesIO()
    torch.save(m, stream)
    stream.seek(0)
    others = ("deepcopy", copy.deepcopy(m)), ("pickle", torch.load(stream, weights_only=False))
    want = called(m, given)
    for what, other in others:
        assert type(other) is type(m), f"{what} gives a {type(other).__name__}"
        assert same(called(other, given), want), f"the {what} computes something else"
        mine = {t.data_ptr() for t in [*m.parameters(), *m.buffers()] if t.numel()}
        shared = [n for n, t in other.named_parameters() if t.data_ptr() in mine]
        assert not shared, f"the {what} shares {shared} with the original"
        assert [n for n, _ in other.named_parameters()] == [n for n, _ in m.named_parameters()]


def casts(make, given, dtype, device):
    """to(dtype) and double() convert floating parameters and buffers in place, keep integers and the Parameters."""
    m = make()
    before = dict(m.named_parameters())
    kinds = {n: t.dtype for n, t in m.named_buffers()}
    assert m.to(torch.float64) is m, "to() gives another module"
    for name, p in m.named_parameters():
        assert p.dtype == torch.float64 and p is before[name] and p.requires_grad, f"{name} after to(float64)"
    for name, t in m.named_buffers():
        wanted = torch.float64 if kinds[name].is_floating_point else kinds[name]
        assert t.dtype == wanted, f"{name} is {t.dtype} after to(float64)"
    m.float()
    assert all(t.dtype == torch.float32 for t in m.parameters()), "float() left a parameter"


def factory(make, given, dtype, device):
    """The constructor's dtype and device are those of the parameters, and wrong ones are refused."""
    m = make()
    if not list(m.parameters()):
        return NotImplemented
    made = make(dtype=torch.float64, device=device)
    for name, p in made.named_parameters():
        assert p.dtype == torch.float64, f"{name} is {p.dtype}, asked for float64"
    with torch.device("meta"):
        away = make(dtype=None)
    for name, p in away.named_parameters():
        assert p.device.type == "meta", f"{name} is on {p.device} under torch.device('meta')"


def representation(make, given, dtype, device):
    """repr names the class, and a plain one is the call that makes such a module."""
    m = make()
    text = repr(m)
    assert text.startswith(type(m).__name__ + "("), f"repr is {text!r}"
    assert repr(copy.deepcopy(m)) == text, "a copy has another repr"
    if "\n" in text:
        return
    names = {**vars(torch.nn), "torch": torch}
    try:
        again = eval(text, names)
    except (SyntaxError, NameError, TypeError):
        return NotImplemented
    assert repr(again) == text, f"{text} makes {again!r}"
    shapes = [[(n, p.shape) for n, p in each.named_parameters()] for each in (m, again)]
    assert shapes[0] == shapes[1], f"{text} leaves out an option: it makes the parameters {shapes[1]}"


def freezing(make, given, dtype, device):
    """requires_grad_(False) stops gradients of parameters and leaves those of inputs, and is undone by True."""
    m = make().eval()
    if not list(m.parameters()):
        return NotImplemented
    assert m.requires_grad_(False) is m
    assert not any(p.requires_grad for p in m.parameters()), "a parameter still requires grad"
    torch.manual_seed(0)
    outs = [t for t in flat(m(*copied(given))) if t.is_floating_point()]
    assert not any(t.requires_grad for t in outs), "an output of a frozen module requires grad"
    m.requires_grad_(True)
    torch.manual_seed(0)
    outs = [t for t in flat(m(*copied(given))) if t.is_floating_point()]
    assert any(t.requires_grad for t in outs) or not outs, "no output requires grad after requires_grad_(True)"
    if outs and any(t.requires_grad for t in outs):
        sum(t.sum() for t in outs if t.requires_grad).backward()
        m.zero_grad()
        assert all(p.grad is None for p in m.parameters()), "zero_grad() left a gradient"
        m.zero_grad(set_to_none=False)


def modes(make, given, dtype, device):
    """train() and eval() reach every submodule and are undone by each other."""
    m = make()
    for mode in (False, True):
        assert m.train(mode) is m
        assert all(s.training is mode for s in m.modules()), f"train({mode}) left a submodule"
    assert m.eval() is m and not any(s.training for s in m.modules()), "eval() left a module in training"


def meta(make, given, dtype, device):
    """On the meta device a module computes shapes and dtypes alone; to_empty brings it back with the same ones."""
    m = make().eval()
    called(m, given)  # with max_norm every call may change the table by a rounding
    away = copy.deepcopy(m).to("meta")
    assert all(t.device.type == "meta" for t in [*away.parameters(), *away.buffers()]), "something stayed behind"
    back = away.to_empty(device=device)
    for (name, p), (other, q) in zip(m.named_parameters(), back.named_parameters()):
        assert (name, p.shape, p.dtype, p.device.type) == (other, q.shape, q.dtype, q.device.type), name
    back.load_state_dict(m.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(m.parameters(), back.parameters()))
    want, again = flat(called(m, given)), flat(called(back.eval(), given))
    assert len(again) == len(want) and same(tuple(again), tuple(want)), (
        "the module that came back computes something else"
    )


def lazy(make, given, dtype, device):
    """Before its first call a lazy module has no numbers; it can be copied, pickled and loaded, and becomes plain."""
    full = make().eval()
    try:
        m = make(dtype=dtype, device=device)
    except TypeError:
        return NotImplemented
    if not type(m).__name__.startswith("Lazy"):
        return NotImplemented
    plain, want = type(full), called(full, given)
    assert not isinstance(full, torch.nn.modules.lazy.LazyModuleMixin), f"after a call it is still a {plain.__name__}"
    assert type(m).__name__ == f"Lazy{plain.__name__}", f"a {type(m).__name__} became a {plain.__name__}"
    names = [n for n, _ in full.named_parameters()]
    assert m.has_uninitialized_params() == any(map(torch.nn.parameter.is_lazy, m.parameters()))
    assert [n for n, _ in m.named_parameters()] == names and list(m.state_dict()) == list(full.state_dict())
    stream = io.BytesIO()
    torch.save(m, stream)
    stream.seek(0)
    loaded = make(dtype=dtype, device=device)
    loaded.load_state_dict(m.state_dict())
    for other in (m, copy.deepcopy(m), torch.load(stream, weights_only=False), loaded):
        called(other.eval(), given)
        assert type(other) is plain, f"the first call makes a {type(other).__name__}"
        for name, p in other.named_parameters():
            q = full.get_parameter(name)
            assert (p.shape, p.dtype, p.device, p.requires_grad) == (q.shape, q.dtype, q.device, True), name
    other = make(dtype=dtype, device=device).eval()
    other.load_state_dict(full.state_dict())
    assert same(called(other, given), want), "a state_dict loaded before the first call is lost in it"
    assert repr(other) == repr(full), f"loaded before its first call it is {other!r} after it, not {full!r}"
