"""The thesis: every model, study, claim and figure of the companion, on top of ebmlib.

Data flows one way here too::

    conditions -> study (measures rows over seeds) -> claim (judges rows), figure (draws)
               -> companion (what a chapter holds) -> book

``conditions.py`` names every trained model; ``studies/``, ``claims/`` and ``figures/`` hold one
file per subject; ``results/`` the rows of the last full measurement with their provenance.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
