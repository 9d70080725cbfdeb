"""Objectives: what training minimises. Every objective of section 2.3 is one file here."""

from ebmlib.objectives.base import Objective, Outcome
from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.objectives.joint import JointContrastiveDivergence

__all__ = ["ContrastiveDivergence", "JointContrastiveDivergence", "Objective", "Outcome"]
