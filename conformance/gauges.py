"""Gauges: what turns the outputs of a decomposition, unique only up to signs, phases or an order, into unique ones.

Each is the Python text of a function `fixed` in torch, differentiable, from the outputs of the op to those of its
rule, which states them in the same gauge. A reproduction script prints the text: it uses torch alone.
"""

from __future__ import annotations

GAUGES = {
    "eigh": """def fixed(out):
    # the first element of every eigenvector made positive
    w, V = out
    return w, V * V[..., :1, :].sgn().conj()""",
    "eigvals": """def fixed(w):
    # in the order of a functional that tells conjugates apart
    return w.gather(-1, (w.real + w.imag / 4).argsort(-1))""",
    "eig": """def fixed(out):
    # in the order of a functional that tells conjugates apart, the first element of every eigenvector positive
    w, V = out
    order = (w.real + w.imag / 4).argsort(-1)
    V = V.gather(-1, order.unsqueeze(-2).expand(V.shape))
    return w.gather(-1, order), V * V[..., :1, :].sgn().conj()""",
    "svd": """def first(Z):  # columns of the projector Z Z^H, without a product that autocast would lower
    return (Z.unsqueeze(-2) * Z[..., : Z.shape[-1], :].conj().unsqueeze(-3)).sum(-1)
def fixed(out):
    # the first element of every left singular vector made positive, the right one turned alike; of the vectors
    # that full_matrices adds only the span is determined: the first columns of the projector on it
    U, S, Vh = out
    k = S.shape[-1]
    turn = U[..., :1, :k].sgn().sum(-2)
    U = torch.cat([U[..., :k] * turn.conj().unsqueeze(-2), first(U[..., k:].detach())], -1)
    Vh = torch.cat([Vh[..., :k, :] * turn.unsqueeze(-1), first(Vh[..., k:, :].mH.detach()).mH], -2)
    return U, S, Vh""",
    "svd_v": """def first(Z):  # columns of the projector Z Z^H, without a product that autocast would lower
    return (Z.unsqueeze(-2) * Z[..., : Z.shape[-1], :].conj().unsqueeze(-3)).sum(-1)
def fixed(out):
    # the first element of every left singular vector made positive, the right one turned alike; of the vectors
    # that some=False adds only the span is determined: the first columns of the projector on it
    U, S, V = out
    k = S.shape[-1]
    turn = U[..., :1, :k].sgn().conj().sum(-2, keepdim=True)
    U = torch.cat([U[..., :k] * turn, first(U[..., k:].detach())], -1)
    V = torch.cat([V[..., :k] * turn, first(V[..., k:].detach())], -1)
    return U + 0 * S.sum(), S, V + 0 * S.sum()  # compute_uv=False leaves them without a derivative: it is zero""",
    "qr": """def first(Z):  # columns of the projector Z Z^H, without a product that autocast would lower
    return (Z.unsqueeze(-2) * Z[..., : Z.shape[-1], :].conj().unsqueeze(-3)).sum(-1)
def fixed(out):
    # the diagonal of R made positive; of the columns that mode="complete" adds to Q only the span is determined:
    # the first columns of the projector on it
    Q, R = out
    k = min(R.shape[-2:])
    turn = R.diagonal(0, -2, -1).sgn()
    if Q.dim() > 1 and Q.numel():
        Q = torch.cat([Q[..., :k] * turn.unsqueeze(-2), first(Q[..., k:].detach())], -1)
    return Q, torch.cat([R[..., :k, :] * turn.conj().unsqueeze(-1), R[..., k:, :]], -2)""",
    "solution": """def fixed(out):
    # singular values have no derivative here: it is made zero
    X, residuals, rank, S = out
    return X, residuals + 0 * X.real.sum(), rank, S + 0 * X.real.sum()""",
    "permuted": """def fixed(out):
    # P has no derivative: its derivative is made zero
    P, L, U = out
    return P + 0 * L.sum(), L, U""",
}
