"""What a chain reports, each field computed again from the kernel's own steps."""

import math
from itertools import pairwise

import pytest
import torch
from support import Gaussian

from ebmlib import MALA, SGLD
from ebmlib.sampling.chain import run_chain

TARGET = Gaussian(
    torch.tensor([[4.0, 1.0], [1.0, 2.0]], dtype=torch.float64),
    torch.tensor([0.3, -0.2], dtype=torch.float64),
)


def by_hand(kernel, start, generator):
    """Positions after 0 ... K steps, and the acceptance of every proposal, from the equations."""
    a, positions, accepted = start, [start], []
    if isinstance(kernel, SGLD):
        for k in range(kernel.steps):
            alpha = kernel.alpha
            if kernel.final_alpha is not None:
                alpha *= (kernel.final_alpha / kernel.alpha) ** (k / (kernel.steps - 1))
            drift = alpha**2 / 2 if kernel.drift is None else kernel.drift
            a = a + drift * TARGET.score(a)
            if kernel.temperature:
                xi = torch.empty_like(a).normal_(generator=generator)
                a = a + alpha * math.sqrt(kernel.temperature) * xi
            positions.append(a)
        return positions, None
    h = kernel.alpha**2

    def log_q(to, origin):
        return -(to - origin - h / 2 * TARGET.score(origin)).square().sum(dim=1) / (2 * h)

    for _ in range(kernel.steps):
        xi = torch.empty_like(a).normal_(generator=generator)
        b = a + h / 2 * TARGET.score(a) + kernel.alpha * xi
        log_r = TARGET.value(b) - TARGET.value(a) + log_q(a, b) - log_q(b, a)
        probability = log_r.exp().clamp(max=1)
        yes = torch.rand(len(a), generator=generator, dtype=a.dtype) < probability
        a = torch.where(yes[:, None], b, a)
        positions.append(a)
        accepted.append(probability)
    return positions, torch.stack(accepted).mean(dim=0)


@pytest.mark.parametrize(
    "kernel",
    [
        SGLD(0.4, 9),
        SGLD(0.4, 9, temperature=0.3, drift=0.05),
        SGLD(0.4, 9, final_alpha=0.1),
        SGLD(0.4, 9, temperature=0.0),
        MALA(0.9, 9),
    ],
    ids=str,
)
def test_every_field_of_a_chain_is_what_it_says(kernel, generator):
    start = torch.randn(30, 2, generator=generator("start"), dtype=torch.float64)
    kept = start.clone()
    record = (0, 3, 4, 9)
    chain = run_chain(
        kernel, TARGET, start, generator=generator("c"), length=True, record=(4, 0, 9, 3, 4)
    )
    positions, acceptance = by_hand(kernel, start, generator("c"))
    close = torch.testing.assert_close
    close(chain.actions, positions[-1])
    assert (chain.steps, chain.recorded) == (9, record)
    close(chain.positions, torch.stack([positions[k] for k in record]))
    close(chain.values, torch.stack([TARGET.value(positions[k]) for k in record]))
    lengths = torch.stack([(b - a).norm(dim=1) for a, b in pairwise(positions)])
    close(chain.length, lengths.sum(dim=0))
    close(chain.mean_step, lengths.mean(dim=0))
    assert torch.equal(start, kept), "the start is not changed"
    if acceptance is None:
        assert chain.acceptance is None
    else:
        assert 0.3 < acceptance.mean() < 0.95, "some proposals are rejected"
        close(chain.acceptance, acceptance)
    bare = run_chain(kernel, TARGET, start, generator=generator("c"))
    assert bare.length is None and bare.values is None and bare.positions.shape == (0, 30, 2)
    assert torch.equal(bare.actions, chain.actions)
