"""The objectives by the names that a command line takes."""

from __future__ import annotations

from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.objectives.joint import JointContrastiveDivergence
from ebmlib.objectives.nce import NCE
from ebmlib.objectives.ranking_nce import RankingNCE

NAMES: dict[str, type] = {
    "contrastive-divergence": ContrastiveDivergence,
    "joint-contrastive-divergence": JointContrastiveDivergence,
    "nce": NCE,
    "ranking-nce": RankingNCE,
}
"""Name -> class; every class has a default for each of its fields."""
