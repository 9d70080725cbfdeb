"""The objectives by the names that a command line takes."""

from __future__ import annotations

from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.objectives.denoising import DenoisingScoreMatching
from ebmlib.objectives.energy_discrepancy import EnergyDiscrepancy
from ebmlib.objectives.exact_likelihood import ExactLikelihood
from ebmlib.objectives.importance_likelihood import ImportanceLikelihood
from ebmlib.objectives.info_nce import InfoNCE
from ebmlib.objectives.joint import JointContrastiveDivergence
from ebmlib.objectives.multi_level_denoising import MultiLevelDenoising
from ebmlib.objectives.nce import NCE
from ebmlib.objectives.nce_plus import NCEPlus
from ebmlib.objectives.ranking_nce import RankingNCE
from ebmlib.objectives.score_matching import ScoreMatching
from ebmlib.objectives.self_normalised import SelfNormalisedLikelihood
from ebmlib.objectives.sliced_score_matching import SlicedScoreMatching

NAMES: dict[str, type] = {
    "contrastive-divergence": ContrastiveDivergence,
    "denoising-score-matching": DenoisingScoreMatching,
    "energy-discrepancy": EnergyDiscrepancy,
    "exact-likelihood": ExactLikelihood,
    "importance-likelihood": ImportanceLikelihood,
    "info-nce": InfoNCE,
    "joint-contrastive-divergence": JointContrastiveDivergence,
    "multi-level-denoising": MultiLevelDenoising,
    "nce": NCE,
    "nce-plus": NCEPlus,
    "ranking-nce": RankingNCE,
    "score-matching": ScoreMatching,
    "self-normalised-likelihood": SelfNormalisedLikelihood,
    "sliced-score-matching": SlicedScoreMatching,
}
"""Name -> class; every class has a default for each of its fields."""
