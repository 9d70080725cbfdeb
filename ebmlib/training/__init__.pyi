from .loop import TRAINING_REVISION as TRAINING_REVISION
from .loop import Observer as Observer
from .loop import TrainingConfig as TrainingConfig
from .loop import TrainingResult as TrainingResult
from .loop import gradient_norms as gradient_norms
from .loop import train as train
