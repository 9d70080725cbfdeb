from .base import Objective as Objective
from .base import Outcome as Outcome
from .contrastive_divergence import ContrastiveDivergence as ContrastiveDivergence
from .denoising import DenoisingScoreMatching as DenoisingScoreMatching
from .diffusion_recovery import DiffusionRecovery as DiffusionRecovery
from .energy_discrepancy import EnergyDiscrepancy as EnergyDiscrepancy
from .exact_likelihood import ExactLikelihood as ExactLikelihood
from .f_divergence import FDivergence as FDivergence
from .importance_likelihood import ImportanceLikelihood as ImportanceLikelihood
from .improved_contrastive_divergence import (
    ImprovedContrastiveDivergence as ImprovedContrastiveDivergence,
)
from .info_nce import InfoNCE as InfoNCE
from .joint import JointContrastiveDivergence as JointContrastiveDivergence
from .kernel_stein import KernelSteinDiscrepancy as KernelSteinDiscrepancy
from .learned_importance_likelihood import (
    LearnedImportanceLikelihood as LearnedImportanceLikelihood,
)
from .learned_ranking_nce import LearnedRankingNCE as LearnedRankingNCE
from .learned_stein import LearnedSteinDiscrepancy as LearnedSteinDiscrepancy
from .multi_level_denoising import MultiLevelDenoising as MultiLevelDenoising
from .names import NAMES as NAMES
from .nce import NCE as NCE
from .nce_plus import NCEPlus as NCEPlus
from .ranking_nce import RankingNCE as RankingNCE
from .score_matching import ScoreMatching as ScoreMatching
from .self_normalised import SelfNormalisedLikelihood as SelfNormalisedLikelihood
from .sliced_score_matching import SlicedScoreMatching as SlicedScoreMatching
from .stein_generator import SteinGenerator as SteinGenerator
from .vera import VERA as VERA
