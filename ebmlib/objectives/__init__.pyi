from .base import Objective as Objective
from .base import Outcome as Outcome
from .contrastive_divergence import ContrastiveDivergence as ContrastiveDivergence
from .joint import JointContrastiveDivergence as JointContrastiveDivergence
from .names import NAMES as NAMES
from .nce import NCE as NCE
from .ranking_nce import RankingNCE as RankingNCE
