"""Exact densities, laws of chains, diagnostics and distances: nothing here trains."""
