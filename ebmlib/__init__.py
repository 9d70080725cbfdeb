"""Conditional energy-based models for imitation learning, after J. He (TU Darmstadt, 2021).

Data flows one way: demonstrations -> energy model -> training -> policy -> trajectories.

    import torch
    from ebmlib import EXP, Store, preset, rollout, seeding
    trained = Store().train_or_load(preset("circle"))
    policy = EXP(trained.model, trained.run.objective.sampler)
    starts = torch.zeros(1, 2)
    trajectories = rollout(policy, starts, 150, generator=seeding.generator(0, "rollout"))

The public names are listed in ``__init__.pyi``. A name is loaded when it is first used, so that the
parts that need no PyTorch (configurations, keys) can be imported without it.
"""

import lazy_loader

from ebmlib import _moved

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_moved.install()
