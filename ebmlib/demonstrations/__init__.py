"""Files to recordings to demonstrations: normalised trajectories and their pairs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
