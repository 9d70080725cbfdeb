"""Every training method on one set of conditional densities, judged by the exact truth."""
