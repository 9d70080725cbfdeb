"""The objectives by the names that a command line takes."""

from __future__ import annotations

from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.objectives.denoising import DenoisingScoreMatching
from ebmlib.objectives.diffusion_recovery import DiffusionRecovery
from ebmlib.objectives.energy_discrepancy import EnergyDiscrepancy
from ebmlib.objectives.exact_likelihood import ExactLikelihood
from ebmlib.objectives.f_divergence import FDivergence
from ebmlib.objectives.importance_likelihood import ImportanceLikelihood
from ebmlib.objectives.improved_contrastive_divergence import ImprovedContrastiveDivergence
from ebmlib.objectives.info_nce import InfoNCE
from ebmlib.objectives.joint import JointContrastiveDivergence
from ebmlib.objectives.kernel_stein import KernelSteinDiscrepancy
from ebmlib.objectives.learned_importance_likelihood import LearnedImportanceLikelihood
from ebmlib.objectives.learned_ranking_nce import LearnedRankingNCE
from ebmlib.objectives.learned_stein import LearnedSteinDiscrepancy
from ebmlib.objectives.multi_level_denoising import MultiLevelDenoising
from ebmlib.objectives.nce import NCE
from ebmlib.objectives.nce_plus import NCEPlus
from ebmlib.objectives.ranking_nce import RankingNCE
from ebmlib.objectives.score_matching import ScoreMatching
from ebmlib.objectives.self_normalised import SelfNormalisedLikelihood
from ebmlib.objectives.sliced_score_matching import SlicedScoreMatching
from ebmlib.objectives.stein_generator import SteinGenerator
from ebmlib.objectives.vera import VERA

NAMES: dict[str, type] = {
    "contrastive-divergence": ContrastiveDivergence,
    "denoising-score-matching": DenoisingScoreMatching,
    "diffusion-recovery": DiffusionRecovery,
    "energy-discrepancy": EnergyDiscrepancy,
    "exact-likelihood": ExactLikelihood,
    "f-divergence": FDivergence,
    "importance-likelihood": ImportanceLikelihood,
    "improved-contrastive-divergence": ImprovedContrastiveDivergence,
    "info-nce": InfoNCE,
    "joint-contrastive-divergence": JointContrastiveDivergence,
    "kernel-stein-discrepancy": KernelSteinDiscrepancy,
    "learned-importance-likelihood": LearnedImportanceLikelihood,
    "learned-ranking-nce": LearnedRankingNCE,
    "learned-stein-discrepancy": LearnedSteinDiscrepancy,
    "multi-level-denoising": MultiLevelDenoising,
    "nce": NCE,
    "nce-plus": NCEPlus,
    "ranking-nce": RankingNCE,
    "score-matching": ScoreMatching,
    "self-normalised-likelihood": SelfNormalisedLikelihood,
    "sliced-score-matching": SlicedScoreMatching,
    "stein-generator": SteinGenerator,
    "vera": VERA,
}
"""Name -> class; every class has a default for each of its fields."""
