"""The thesis: every model, study, claim and figure of the companion.

Data flows one way here too::

    conditions -> study (measures rows over seeds) -> claim (judges rows), figure (draws)
               -> companion (what a chapter holds) -> book

``conditions.py`` names every trained model; ``studies/``, ``claims/`` and ``figures/`` hold one
file per subject; ``results/`` the rows of the last full measurement with their provenance.
"""

from ebmlib.thesis.companion import Companion

__all__ = ["Companion"]
