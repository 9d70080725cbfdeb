"""From a density of actions to an action, and from actions to trajectories (section 3.3)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
