"""Samplers: what they see, how they step, where chains start, whole chains in one call."""

from ebmlib.sampling import compiled as _compiled  # noqa: F401  registers its fused chain
from ebmlib.sampling import cuda as _cuda  # noqa: F401  registers its fused chain
