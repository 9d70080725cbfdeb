"""Samplers: what they see, how they step, where chains start, whole chains in one call."""
