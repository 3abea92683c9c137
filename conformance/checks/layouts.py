"""Memory layouts: the same values, held in another way. Each uses torch alone, for the scripts."""

import torch


def transposed(x):
    """The dimensions in memory in reverse order."""
    if x.dim() < 2:
        return x
    order = tuple(reversed(range(x.dim())))
    return x.permute(order).contiguous().permute(order)


def strided(x):
    """Every second element of a larger buffer, in every dimension."""
    buffer = torch.zeros([2 * n for n in x.shape], dtype=x.dtype, device=x.device)
    view = buffer[tuple(slice(None, None, 2) for _ in x.shape)]
    return view.copy_(x)


def offset(x):
    """Contiguous, but one element after the start of its storage: not aligned to any vector width."""
    buffer = torch.zeros(x.numel() + 1, dtype=x.dtype, device=x.device)
    return buffer[1:].view(x.shape).copy_(x)


def channels_last(x):
    """The second dimension last in memory, for tensors of four or five dimensions."""
    if x.dim() == 4:
        return x.contiguous(memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last_3d) if x.dim() == 5 else x


def conj_view(x):
    """A lazy conjugate of the conjugate."""
    return x.conj().resolve_conj().conj() if x.is_complex() else x


def neg_view(x):
    """A lazy negative of the negative."""
    return torch._neg_view(-x) if x.is_floating_point() or x.is_complex() else x


def expanded(x):
    """Stride 0 along the first dimension along which the values do not change."""
    # zeros of either sign are equal, but not the same
    negative = torch.signbit(torch.view_as_real(x) if x.is_complex() else x)
    for d, n in enumerate(x.shape):
        if n > 1 and bool((x == x.narrow(d, 0, 1)).all() & (negative == negative.narrow(d, 0, 1)).all()):
            return x.narrow(d, 0, 1).expand(x.shape)
    return x


LAYOUTS = {
    "transposed": transposed,
    "strided": strided,
    "offset": offset,
    "channels_last": channels_last,
    "conj": conj_view,
    "neg": neg_view,
    "expanded": expanded,
}
