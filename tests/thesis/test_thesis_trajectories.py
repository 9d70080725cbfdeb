"""Sampled trajectories: places, returning, and judges that flip when the numbers do."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ebmlib import InputError, load_demonstrations, preset, seeding
from ebmlib.evaluation import metrics
from thesis import claim, claims
from thesis.conditions import DATASETS
from thesis.studies import basins, offsets, trajectories
from thesis.study import Results

CIRCLE = load_demonstrations(preset("circle").data)
PATH1 = load_demonstrations(preset("path1").data)


@dataclass(frozen=True)
class Radial:
    """A hand-made policy for the unit circle around (-1, 0): a tangent step and a pull inwards.

    It pulls by ``pull`` of the distance to the circle within ``region`` radii, and runs away
    beyond.
    """

    pull: float
    region: float

    def act(self, states: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
        """Actions for states."""
        centre = torch.tensor([-1.0, 0.0])
        out = states - centre
        radius = out.norm(dim=1, keepdim=True).clamp(min=1e-9)
        out = out / radius
        tangent = torch.stack([-out[:, 1], out[:, 0]], dim=1)
        outward = torch.where(radius < self.region, -self.pull * (radius - 1), 0.3)
        return 0.06 * tangent + outward * out


def held(policy, points, steps=100):
    return basins.closest_hold(
        policy, np.asarray(points, float), CIRCLE.trajectories,
        seeding.generator(0, "test"), torch.device("cpu"), steps,
    )  # fmt: skip


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_inside_and_outside_lie_beside_the_centre_line_and_inside_is_concave(name):
    data = load_demonstrations(preset(name).data)
    path = trajectories.line(data)
    places = {kind: trajectories.starts(data, kind) for kind in trajectories.OFFSETS}
    np.testing.assert_allclose(places["on"], path[list(trajectories.PLACES)], atol=1e-9)
    middle = (places["inside"] + places["outside"]) / 2
    np.testing.assert_allclose(middle, places["on"], atol=1e-9)
    # the side to which the chord of the next thirty steps bends is the concave one
    later = path[np.array(trajectories.PLACES) + 30]
    nearer = np.linalg.norm(places["inside"] - later, axis=1)
    assert (nearer < np.linalg.norm(places["outside"] - later, axis=1)).all()


def test_inside_the_circle_is_towards_its_centre():
    inside = trajectories.starts(CIRCLE, "inside")
    np.testing.assert_allclose(np.hypot(*(inside - [-1, 0]).T), 0.6, atol=1e-3)
    assert trajectories.closed(CIRCLE) and not trajectories.closed(PATH1)


def test_concave_side_of_an_arc_and_its_mirror():
    t = np.linspace(0, 2, 30)
    left = np.stack([np.sin(t), 1 - np.cos(t)], axis=1)
    assert metrics.concave_side(left) == 1.0
    assert metrics.concave_side(left * [1, -1]) == -1.0
    with pytest.raises(InputError, match="polyline"):
        metrics.concave_side([[0, 0], [1, 0]])


def test_held_distance_forgives_no_step_and_ignores_what_was_not_made():
    crossing = [3, 2, 0.0, 0.0, 2, 3, np.nan, np.nan]
    assert metrics.held_distance(crossing, 2) == 0
    assert metrics.held_distance(crossing, 3) == 2
    assert metrics.held_distance([1, np.nan], 2) == np.inf
    assert metrics.held_distance([crossing, crossing], 1).shape == (2,)
    with pytest.raises(InputError, match="Windows"):
        metrics.held_distance([1, 2], 3)


def test_the_nearest_of_several_lines_and_their_mean():
    lines = [[[0, 0], [1, 0]], [[0, 2], [1, 2]]]
    np.testing.assert_allclose(metrics.distance_to_nearest([[0.5, 1.5], [0, -3]], lines), [0.5, 3])
    np.testing.assert_allclose(metrics.centre_line(lines), [[0, 1], [1, 1]])
    with pytest.raises(InputError, match="same number"):
        metrics.centre_line([[[0, 0], [1, 0]], [[0, 0]]])
    with pytest.raises(InputError, match="At least one"):
        metrics.distance_to_nearest([[0, 0]], [])


# --- returning ------------------------------------------------------------------------------------


def test_who_is_pulled_returns_and_who_is_pushed_does_not():
    starts = [[-1 + r, 0] for r in (0.4, 1.0, 1.4, 1.9)]
    back = held(Radial(pull=0.1, region=1.6), starts) <= basins.NEAR
    assert back.tolist() == [True, True, True, False]


def test_running_parallel_is_not_returning():
    assert (held(Radial(pull=0.0, region=3), [[0.4, 0]]) > 0.3).all()


def test_crossing_is_not_returning():
    class Straight:
        def act(self, states, *, generator):
            return torch.tensor([[-0.064, 0.0]]).repeat(len(states), 1)

    # it crosses the circle twice, at right angles
    assert held(Straight(), [[0.9, 0.0]])[0] > basins.NEAR


def test_the_radius_is_where_the_worse_side_falls_below_nine_tenths():
    found = [-1.0, -0.5, -0.1, 0.1, 0.5, 1.0]
    assert basins.radius(found, [1, 1, 1, 1, 1, 1]) == 1.0
    assert basins.radius(found, [1, 1, 1, 1, 0.8, 1]) == 0.1
    assert basins.radius(found, [1, 1, 0.5, 1, 1, 1]) == 0.0


def test_angles_and_the_gap_between_two_groups():
    found = offsets.angle(
        np.array([[1.0, 0], [1, 0], [2, 0]]), np.array([[0, 3.0], [1, 1], [5, 0]])
    )
    np.testing.assert_allclose(found, [90, 45, 0], atol=1e-6)
    assert trajectories.gap(np.array([2.0, -1, 1.5, -0.9])) == (-0.9, 1.5)


# --- judges ---------------------------------------------------------------------------------------

SEEDS = range(5)


def results(study, condition, **columns):
    return Results(study, tuple({"condition": condition, "seed": s, **columns} for s in SEEDS), {})


def field(condition, **changes):
    size = len(offsets.DISTANCES)
    columns = dict.fromkeys(("change", "turn", "nearest", "smooth", "nearest_turn"), [1.0] * size)
    return results("offsets", condition, **{**columns, "scatter": 0.3, **changes})


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ([0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.9], claim.REPRODUCED),
        ([0, 0.1, 0.1, 0.5, 0.6, 0.8, 0.9], claim.IN_RANGE),
        ([0, 0.1, 0.4, 0.1, 0.1, 0.1, 0.1], claim.NOT_REPRODUCED),
    ],
)
def test_c32_is_as_far_as_the_action_stays_within_the_scatter(change, outcome):
    found = claims.get("C32").judge(field("path1", change=change))
    assert found.outcome == outcome
    assert outcome != claim.IN_RANGE or "0.1" in found.where


@pytest.mark.parametrize(
    ("nearest", "outcome"),
    [
        ([10, 10, 10, 10, 25, 30, 40], claim.REPRODUCED),
        ([10, 10, 10, 10, 12, 15, 40], claim.IN_RANGE),
        ([10, 10, 10, 10, 12, 15, 19], claim.NOT_REPRODUCED),
    ],
)
def test_c36_asks_for_twice_the_angle_on_the_line(nearest, outcome):
    assert claims.get("C36").judge(field("mouse2", nearest=nearest)).outcome == outcome


def basin(name, returned, radius=1.0):
    distances = [-2.0, -1.5, -1.0, -0.75, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 0.75, 1.0]
    return results("basins", name, offsets=distances, returned=returned, radius=radius)


@pytest.mark.parametrize(
    ("outside", "inside", "worst", "outcome"),
    [
        ([0, 0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 0], 0.05, claim.REPRODUCED),
        ([1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0], 0.05, claim.IN_RANGE),
        ([0, 0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0], 0.05, claim.IN_RANGE),
        ([0, 0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 0], 0.25, claim.IN_RANGE),
        ([0, 0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0], 0.05, claim.NOT_REPRODUCED),
    ],
)
def test_c34_needs_the_inside_and_the_radius(outside, inside, worst, outcome):
    told = basin("circle", [*outside, *inside])
    settled = results("trajectories", "circle", inside_worst=worst)
    assert claims.get("C34").judge(told, settled).outcome == outcome


def test_c34_counts_the_region_from_the_centre():
    told = basin("circle", [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    settled = results("trajectories", "circle", inside_worst=0.01)
    assert claims.get("C34").judge(told, settled).number.value == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("radii", "outcome", "where"),
    [
        ((0.5, 1.0, 0.5, 0.75), claim.REPRODUCED, ""),
        ((0.1, 1.0, 0.1, 0.75), claim.IN_RANGE, "on circle, mouse2"),
        ((0.1, 0.25, 0.1, 0.25), claim.NOT_REPRODUCED, ""),
    ],
)
def test_c37_is_on_all_data_sets_or_names_those(radii, outcome, where):
    rows = [
        row
        for name, radius in zip(DATASETS, radii, strict=True)
        for row in basin(name, [1] * 12, radius).rows
    ]
    found = claims.get("C37").judge(Results("basins", tuple(rows), {}))
    assert (found.outcome, found.where) == (outcome, where)
    assert found.number.value == pytest.approx(min(radii))


@pytest.mark.parametrize(
    ("spread", "share", "smaller", "outcome"),
    [
        ([1, 1, 2, 3], 0.5, 0.3, claim.REPRODUCED),
        ([1, 1, 2, 3], 0.0, 0.0, claim.REPRODUCED),
        ([1, 1, 2, 3], 0.05, 0.4, claim.NOT_REPRODUCED),
        ([1, 1, 1, 1.5], 0.5, 0.3, claim.NOT_REPRODUCED),
    ],
)
def test_c35_fails_where_both_branches_are_reached_or_nothing_spreads(
    spread, share, smaller, outcome
):
    told = results(
        "tail", "mouse1", data=spread, EXP_gap=share, EXP_smaller=smaller, DRAW_gap=0.4,
        EXP_spread=0.5,
    )  # fmt: skip
    assert claims.get("C35").judge(told).outcome == outcome
