"""SGLD chains of an energy model on a GPU, all steps of a block of chains in one launch.

One update is a' = a + drift_k grad_a f(a) + noise_k; the gradient is the closed form of
:class:`ebmlib.models.score.ActionScore`, whose docstring holds the equations and the names that are
used here. :mod:`ebmlib.sampling.triton_chain` packs the weights and calls :func:`walk`.

A program holds a block of chains in its registers, one row each, and reads the weights anew in
every step, 32 rows or columns at a time: the 160 kB of the default network do not fit into
registers, but stay in the caches.

Widths are padded with zeros to powers of two. Zeros stay zeros in every activation, and padded rows
and columns of the weights carry nothing on, so padding needs no masks.

With ``TRITON_INTERPRET=1`` the same text runs on the CPU, which is how it is tested.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def rho(s, SILU: tl.constexpr):
    """(rho(s), what :func:`times` needs of its derivative): SiLU, or ReLU."""
    if SILU:
        # with e = exp(-|s|), sigma(|s|) = 1 / (1 + e) and sigma(-|s|) = e / (1 + e)
        e = tl.exp(-tl.abs(s))
        larger = 1.0 / (1.0 + e)
        smaller = e * larger
        sigma = tl.where(s < 0, smaller, larger)
        rest = tl.where(s < 0, larger, smaller)
        value = s * sigma
        slope = sigma + value * rest
    else:
        slope = s <= 0  # written so that NaN passes, as in PyTorch
        value = tl.where(slope, 0.0, s)
    return value, slope


@triton.jit
def times(g, slope, SILU: tl.constexpr):
    """rho'(s) * g, from what :func:`rho` returned."""
    if SILU:
        return g * slope
    else:
        return tl.where(slope, 0.0, g)


@triton.jit
def tanh(s):
    """The hyperbolic tangent at s, and its derivative.

    tanh(|s|) = (1 - e) / (1 + e) with e = exp(-2 |s|).
    """
    e = tl.exp(-2.0 * tl.abs(s))
    larger = (1.0 - e) / (1.0 + e)
    value = tl.where(s < 0, -larger, larger)
    return value, 1.0 - value * value


@triton.jit
def elu(s):
    """(ELU(s), its derivative): s where positive, else exp(s) - 1."""
    e = tl.exp(tl.where(s <= 0, s, 0.0))
    return tl.where(s <= 0, e - 1.0, s), e


@triton.jit
def columns(x, first: tl.constexpr, TILE: tl.constexpr):
    """Columns ``first`` TILE ... of ``x`` (block, depth): registers cannot be sliced otherwise."""
    BLOCK: tl.constexpr = x.shape[0]
    TILES: tl.constexpr = x.shape[1] // TILE
    if TILES == 1:
        return x
    else:
        tiles = tl.reshape(x, [BLOCK, TILES, TILE])
        which = tl.arange(0, TILES)[None, :, None]
        return tl.sum(tl.where(which == first, tiles, 0.0), axis=1)


@triton.jit
def product(x, at, out, WIDTH: tl.constexpr, TRANSPOSED: tl.constexpr):
    """``out`` + x M for M (depth, WIDTH) at ``at``; or for its transpose, which lies there.

    Only a part of M is held at a time. Tensor cores in three passes keep float32's digits.
    """
    DEPTH: tl.constexpr = x.shape[1]
    TILE: tl.constexpr = 32 if DEPTH > 32 else DEPTH
    inner, outer = tl.arange(0, TILE), tl.arange(0, WIDTH)
    for i in tl.static_range(DEPTH // TILE):
        part = columns(x, i, TILE)
        if TRANSPOSED:
            m = tl.trans(tl.load(at + outer[:, None] * DEPTH + (inner + i * TILE)[None, :]))
        else:
            m = tl.load(at + (inner + i * TILE)[:, None] * WIDTH + outer[None, :])
        out = tl.dot(part, m, acc=out, input_precision="tf32x3")
    return out


@triton.jit
def spread(a, at, out, D: tl.constexpr, DN: tl.constexpr, WIDTH: tl.constexpr):
    """``out`` + a M for the (D, WIDTH) matrix at ``at``; D is too small for a tensor core."""
    column = tl.arange(0, DN)[None, :]
    for j in tl.static_range(D):
        a_j = tl.sum(tl.where(column == j, a, 0.0), axis=1)
        out += a_j[:, None] * tl.load(at + j * WIDTH + tl.arange(0, WIDTH))[None, :]
    return out


@triton.jit
def gather(g, at, D: tl.constexpr, DN: tl.constexpr, WIDTH: tl.constexpr):
    """The product g M^T, shape (block, DN), for the (D, WIDTH) matrix at ``at``."""
    column = tl.arange(0, DN)[None, :]
    out = tl.zeros([g.shape[0], DN], tl.float32)
    for j in tl.static_range(D):
        row = tl.load(at + j * WIDTH + tl.arange(0, WIDTH))
        out += tl.where(column == j, tl.sum(g * row[None, :], axis=1)[:, None], 0.0)
    return out


@triton.jit
def gradient(
    a,
    context,
    weights,
    D: tl.constexpr,
    DN: tl.constexpr,
    Z: tl.constexpr,
    H: tl.constexpr,
    HIDDEN: tl.constexpr,
    RESIDUAL: tl.constexpr,
    TANH: tl.constexpr,
    SILU: tl.constexpr,
):
    """grad_a f at ``a`` (block, DN); ``context`` is c (block, H); Z = 0 without embedding.

    ``weights`` holds A^T (D, Z), b (Z), W_0 (H, Z), or W_0^T (D, H) without embedding; then
    W_i (H, H) and b_i (H) for each hidden layer, and w (H).
    """
    BLOCK: tl.constexpr = a.shape[0]
    feature = tl.arange(0, H)
    if Z > 0:
        first_at = weights + D * Z + Z
        hidden_at = first_at + H * Z
        bias = tl.load(weights + D * Z + tl.arange(0, Z))
        s = spread(a, weights, tl.zeros([BLOCK, Z], tl.float32) + bias[None, :], D, DN, Z)
        if SILU:
            u, u_slope = rho(s, True)
        else:
            u, u_slope = elu(s)
        s = product(u, first_at, context, H, True)
    else:
        hidden_at = weights + D * H
        s = spread(a, weights, context, D, DN, H)
    if TANH:
        out, first_slope = tanh(s)
    else:
        out, first_slope = rho(s, SILU)
    slopes = ()
    for i in tl.static_range(HIDDEN):
        at = hidden_at + i * (H * H + H)
        bias = tl.load(at + H * H + feature)
        s = product(out, at, tl.zeros([BLOCK, H], tl.float32) + bias[None, :], H, True)
        value, slope = rho(s, SILU)
        slopes = slopes + (slope,)  # type: ignore  # noqa: RUF005  what Triton has
        if RESIDUAL:
            out = value + out
        else:
            out = value
    w = tl.load(hidden_at + HIDDEN * (H * H + H) + feature)
    g = tl.zeros([BLOCK, H], tl.float32) + w[None, :]
    for j in tl.static_range(HIDDEN):
        at = hidden_at + (HIDDEN - 1 - j) * (H * H + H)
        masked = times(g, slopes[HIDDEN - 1 - j], SILU)
        if RESIDUAL:
            g = product(masked, at, g, H, False)
        else:
            g = product(masked, at, tl.zeros([BLOCK, H], tl.float32), H, False)
    g = times(g, first_slope, SILU or TANH)
    if Z > 0:
        g = product(g, first_at, tl.zeros([BLOCK, Z], tl.float32), Z, False) * u_slope
        return gather(g, weights, D, DN, Z)
    else:
        return gather(g, weights, D, DN, H)


@triton.jit
def normal(seed, chain, step, dimension):
    """Standard normal numbers, one for each chain, step and dimension, by Philox 4x32-10.

    The counter is (chain, step, dimension, 0) and the key is the 64-bit ``seed`` (Salmon et al.,
    "Parallel random numbers: as easy as 1, 2, 3", 2011), so that a number does not depend on which
    program draws it. Of the four words r, two give a number by Box and Muller's transformation:

        xi = sqrt(-2 log u) cos(2 pi v),    u = (r_0 + 1/2) / 2^32,    v = r_1 / 2^32.
    """
    zero = chain * 0 + dimension * 0
    r_0, r_1, _, _ = tl.philox(seed, chain + zero, step + zero, dimension + zero, zero)
    u = (r_0.to(tl.float32) + 0.5) * 2.3283064365386963e-10  # never 0; 1 after rounding is right
    v = r_1.to(tl.float32) * 2.3283064365386963e-10
    return tl.sqrt(-2.0 * tl.log(u)) * tl.cos(6.283185307179586 * v)


@triton.jit(do_not_specialize=["n", "first", "steps", "again"])
def walk(
    a_at,
    context_at,
    weights_at,
    drifts_at,
    scales_at,
    seed_at,
    noise_at,
    end_at,
    length_at,
    n,
    first,
    steps,
    again,
    D: tl.constexpr,
    DN: tl.constexpr,
    Z: tl.constexpr,
    H: tl.constexpr,
    HIDDEN: tl.constexpr,
    RESIDUAL: tl.constexpr,
    TANH: tl.constexpr,
    SILU: tl.constexpr,
    HANDED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Updates ``first`` ... ``first`` + ``steps`` - 1 of the BLOCK chains of this program.

    ``a_at`` and ``end_at`` are (n, D); ``context_at`` is (n, H); ``drifts_at`` and ``scales_at``
    (K) are indexed by the update's own number; ``seed_at`` is one int64, or with HANDED
    ``noise_at`` (steps, n, D) holds what is added; ``length_at`` (n) is float64 and added to.
    ``again`` is 0, which the compiler cannot know: it would otherwise read all weights once, before
    the loop, and spill them.
    """
    chain = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row, column, feature = chain[:, None], tl.arange(0, DN)[None, :], tl.arange(0, H)[None, :]
    inside = (row < n) & (column < D)
    offset = row.to(tl.int64) * D + column
    a = tl.load(a_at + offset, mask=inside, other=0.0)
    length = tl.load(length_at + chain, mask=chain < n, other=0.0)
    if not HANDED:
        seed = tl.load(seed_at)
    for k in range(steps):
        context = tl.load(
            context_at + k * again + row.to(tl.int64) * H + feature, mask=row < n, other=0.0
        )
        slope = gradient(
            a,
            context,
            weights_at + k * again,
            D,
            DN,
            Z,
            H,
            HIDDEN,
            RESIDUAL,
            TANH,
            SILU,
        )
        if HANDED:
            noise = tl.load(noise_at + offset, mask=inside, other=0.0)
            noise_at += n * D
        else:
            noise = tl.load(scales_at + first + k) * normal(seed, row, first + k, column)
        step = tl.where(inside, tl.load(drifts_at + first + k) * slope + noise, 0.0)
        a += step
        length += tl.sqrt(tl.sum(step * step, axis=1)).to(tl.float64)
    tl.store(end_at + offset, a, mask=inside)
    tl.store(length_at + chain, length, mask=chain < n)
