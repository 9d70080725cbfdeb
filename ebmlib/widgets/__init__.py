"""Widgets: trained policies in the reader's hands, with a kernel and without one.

The numerics are JavaScript (``js/ebm.js``) and run in the page. Importing this package imports
ipywidgets and anywidget; nothing else in ebmlib does.
"""

from ebmlib.widgets.living import LivingPicture, living_picture
from ebmlib.widgets.policies import PolicySet
from ebmlib.widgets.recorder import DrawingRecorder
from ebmlib.widgets.rollout import RolloutExplorer
from ebmlib.widgets.sgld import ParticleExplorer

__all__ = [
    "DrawingRecorder",
    "LivingPicture",
    "ParticleExplorer",
    "PolicySet",
    "RolloutExplorer",
    "living_picture",
]
