from .demonstrations.dataset import DemonstrationConfig as DemonstrationConfig
from .demonstrations.dataset import Demonstrations as Demonstrations
from .demonstrations.dataset import load_demonstrations as load_demonstrations
from .demonstrations.features import StateFeatures as StateFeatures
from .demonstrations.pairs import Pairs as Pairs
from .demonstrations.pairs import pairs_of as pairs_of
from .errors import DeviceError as DeviceError
from .errors import DivergenceError as DivergenceError
from .errors import EbmlibError as EbmlibError
from .errors import InputError as InputError
from .errors import NoiseLevelWarning as NoiseLevelWarning
from .errors import StoreError as StoreError
from .evaluation.exact import Grid as Grid
from .evaluation.exact import GridDensity as GridDensity
from .evaluation.exact import model_density as model_density
from .models.energy import EnergyConfig as EnergyConfig
from .models.energy import EnergyModel as EnergyModel
from .objectives.contrastive_divergence import ContrastiveDivergence as ContrastiveDivergence
from .objectives.denoising import DenoisingScoreMatching as DenoisingScoreMatching
from .objectives.diffusion_recovery import DiffusionRecovery as DiffusionRecovery
from .objectives.energy_discrepancy import EnergyDiscrepancy as EnergyDiscrepancy
from .objectives.exact_likelihood import ExactLikelihood as ExactLikelihood
from .objectives.f_divergence import FDivergence as FDivergence
from .objectives.importance_likelihood import ImportanceLikelihood as ImportanceLikelihood
from .objectives.improved_contrastive_divergence import (
    ImprovedContrastiveDivergence as ImprovedContrastiveDivergence,
)
from .objectives.info_nce import InfoNCE as InfoNCE
from .objectives.joint import JointContrastiveDivergence as JointContrastiveDivergence
from .objectives.kernel_stein import KernelSteinDiscrepancy as KernelSteinDiscrepancy
from .objectives.learned_importance_likelihood import (
    LearnedImportanceLikelihood as LearnedImportanceLikelihood,
)
from .objectives.learned_ranking_nce import LearnedRankingNCE as LearnedRankingNCE
from .objectives.learned_stein import LearnedSteinDiscrepancy as LearnedSteinDiscrepancy
from .objectives.multi_level_denoising import MultiLevelDenoising as MultiLevelDenoising
from .objectives.nce import NCE as NCE
from .objectives.nce_plus import NCEPlus as NCEPlus
from .objectives.ranking_nce import RankingNCE as RankingNCE
from .objectives.score_matching import ScoreMatching as ScoreMatching
from .objectives.self_normalised import SelfNormalisedLikelihood as SelfNormalisedLikelihood
from .objectives.sliced_score_matching import SlicedScoreMatching as SlicedScoreMatching
from .objectives.stein_generator import SteinGenerator as SteinGenerator
from .objectives.vera import VERA as VERA
from .policies.draw import Draw as Draw
from .policies.exp import EXP as EXP
from .policies.inference import policy_of as policy_of
from .policies.ml import ML as ML
from .policies.trained import TrainedPolicy as TrainedPolicy
from .policies.trajectories import Trajectories as Trajectories
from .policies.trajectories import rollout as rollout
from .recipe import for_drawing as for_drawing
from .recipe import learn as learn
from .sampling.chain import Chain as Chain
from .sampling.chain import run_chain as run_chain
from .sampling.inference import Inference as Inference
from .sampling.kernel import Kernel as Kernel
from .sampling.mala import MALA as MALA
from .sampling.proposals import GaussianProposal as GaussianProposal
from .sampling.proposals import MixtureProposal as MixtureProposal
from .sampling.proposals import UniformProposal as UniformProposal
from .sampling.sgld import SGLD as SGLD
from .sampling.starts import DataStart as DataStart
from .sampling.starts import NoiseStart as NoiseStart
from .sampling.starts import PersistentStart as PersistentStart
from .sampling.starts import ReplayStart as ReplayStart
from .sampling.target import Target as Target
from .training.loop import TrainingConfig as TrainingConfig
from .training.loop import TrainingResult as TrainingResult
from .training.loop import train as train
from .training.presets import preset as preset
from .training.presets import presets as presets
from .training.run import Run as Run
from .training.run import device_of as device_of
from .training.run import execute as execute
from .training.store import Store as Store
from .training.store import Trained as Trained
from .training.together import execute_together as execute_together

__version__: str
