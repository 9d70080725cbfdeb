"""Generators are made here, at the edges, and passed in everywhere else."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from ebmlib import checks


def generator(seed: int, stream: str = "", device: torch.device | str = "cpu") -> torch.Generator:
    """An independent generator for every (seed, stream): same pair, same bits.

    Args:
        seed: whole number from 0 to 2^63 - 1.
        stream: what it is for ("weights", "training", "rollout"), so that drawing more for one
            purpose does not move another.
        device: where it draws.

    Example:
        >>> import torch
        >>> from ebmlib import seeding
        >>> first = torch.rand(2, generator=seeding.generator(0, "rollout"))
        >>> again = torch.rand(2, generator=seeding.generator(0, "rollout"))
        >>> bool((first == again).all())
        True
    """
    seed = checks.count("seed", seed, least=0, most=checks.LARGEST_SEED)
    words = np.random.SeedSequence([seed, zlib.crc32(stream.encode())]).generate_state(2)
    state = (int(words[0]) << 31) ^ int(words[1])
    return torch.Generator(device).manual_seed(state)
