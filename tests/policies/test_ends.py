"""Where trajectories end, and why."""

import numpy as np
import pytest

from ebmlib import Demonstrations
from ebmlib.policies.ends import ARRIVED, LEFT, LIMIT, Arrival, FixedSteps


def line(n=50, slope=0.0):
    t = np.linspace(0, 1, n + 1)
    return np.stack([t, slope * t], axis=1)


def arrival(paths):
    data = Demonstrations.from_arrays(paths, scaling="together", length=1.0)
    return Arrival.of(data), np.array(data.states)


RULE, STATES = arrival([line(), line(slope=0.02), line(slope=-0.02)])


def test_a_trajectory_ends_at_its_closest_approach():
    beyond = line(100) * 2  # goes on past the end, at the same pace
    assert RULE.end(beyond, STATES) == (50, ARRIVED)


def test_one_that_never_comes_near_ends_at_the_limit():
    slow = line(150) * 0.6
    assert RULE.end(slow, STATES) == (75, LIMIT)


def test_one_that_leaves_ends_where_it_left():
    lost = np.stack([np.linspace(0, 0.5, 61), np.linspace(0, 1.2, 61)], axis=1)
    steps, why = RULE.end(lost, STATES)
    gap = np.linalg.norm(lost[:, None] - STATES, axis=-1).min(axis=1)
    assert why == LEFT and gap[steps] > RULE.away >= gap[steps - 1]


def test_a_closed_figure_does_not_end_where_it_begins():
    t = np.linspace(0, 2 * np.pi, 81)
    circle = np.stack([np.cos(t) - 1, np.sin(t)], axis=1)
    rule, states = arrival([circle, 1.02 * circle, 0.98 * circle])
    steps, why = rule.end(rule_scale(circle, states), states)
    assert why == ARRIVED and abs(steps - 80) <= 1


def rule_scale(circle, states):
    return circle * (np.ptp(states[:, 0]) / np.ptp(1.02 * circle[:, 0]))


def test_a_fixed_number_of_steps_is_the_limit():
    assert FixedSteps(7).end(line(), STATES) == (7, LIMIT)
    assert FixedSteps(70).end(line(), STATES) == (50, LIMIT)


def test_the_rule_survives_json():
    import json

    from ebmlib import config

    assert config.from_dict(json.loads(json.dumps(config.to_dict(RULE)))) == RULE
    assert RULE.horizon == 50 and RULE.steps == 75 and len(RULE.ends) == 3
    with pytest.raises(Exception, match="radius"):
        Arrival(((0.0, 0.0),), 0.0, 1, 2, 2, 1.0)
