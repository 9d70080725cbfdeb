"""From a density of actions to an action, and from actions to trajectories (section 3.3)."""
