from .dataset import DemonstrationConfig as DemonstrationConfig
from .dataset import Demonstrations as Demonstrations
from .dataset import load_demonstrations as load_demonstrations
from .features import StateFeatures as StateFeatures
