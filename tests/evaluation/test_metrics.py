"""Distances between trajectories and demonstrations, against geometry done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ebmlib import InputError
from ebmlib.evaluation import metrics
from ebmlib.evaluation.metrics import action_error, beside, distance_to_polyline, distance_to_states

coordinates = st.floats(-100, 100, allow_subnormal=False)


def test_distance_to_a_corner_and_to_a_segment():
    line = [[0, 0], [4, 0], [4, 3]]
    points = [[2, 1], [2, -5], [-3, -4], [5, 1], [4, 7], [4, 0], [1, 0]]
    expected = [1, 5, 5, 1, 4, 0, 0]
    np.testing.assert_allclose(distance_to_polyline(points, line), expected, atol=1e-12)
    assert distance_to_polyline(np.zeros((2, 3, 2)), line).shape == (2, 3)
    assert float(distance_to_polyline([2.0, 1.0], line)) == 1.0


def test_distance_works_in_any_dimension_and_over_repeated_vertices():
    line = [[0, 0, 0], [0, 0, 0], [0, 0, 2]]
    assert float(distance_to_polyline([3, 4, 1], line)) == pytest.approx(5)
    assert float(distance_to_polyline([-2.0], [[0.0], [1.0]])) == pytest.approx(2)


@given(arrays(float, (5, 2), elements=coordinates), arrays(float, (3, 2), elements=coordinates))
def test_distance_is_that_of_the_nearest_of_many_points_on_the_line(line, points):
    along = np.linspace(0, 1, 2001)[:, None, None]
    dense = (line[:-1] * (1 - along) + line[1:] * along).reshape(-1, 2)
    nearest = np.linalg.norm(points[:, None] - dense, axis=2).min(axis=1)
    spacing = np.linalg.norm(np.diff(line, axis=0), axis=1).max() / 2000
    found = distance_to_polyline(points, line)
    assert (found <= nearest + 1e-9).all()
    assert (found >= nearest - spacing - 1e-9).all()


@given(arrays(float, (6, 3), elements=coordinates), arrays(float, (4, 3), elements=coordinates))
def test_distance_to_states_is_the_smallest(states, points):
    expected = np.linalg.norm(points[:, None] - states, axis=2).min(axis=1)
    np.testing.assert_allclose(distance_to_states(points, states), expected, atol=1e-9)


def test_action_error_is_the_mean_squared_euclidean_error():
    assert action_error([[3.0, 4.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]) == 13.0


def test_beside_lies_to_the_left_of_the_direction_of_travel():
    circle = np.array([[math.cos(t), math.sin(t)] for t in np.linspace(0, 2 * math.pi, 101)])
    np.testing.assert_allclose(beside(circle, 25, 0.3), [0.0, 0.7], atol=1e-9)
    np.testing.assert_allclose(beside(circle, 25, -0.3), [0.0, 1.3], atol=1e-9)
    np.testing.assert_allclose(beside([[0, 0], [2, 0]], 0, 1.0), [0, 1], atol=1e-12)


def test_shapes_that_do_not_fit_are_refused():
    for points, line in (([[0, 0]], [[0, 0]]), ([[0, 0, 0]], [[0, 0], [1, 1]]), ([0, 0], [0, 1])):
        with pytest.raises(InputError, match=r"Points .* and a polyline"):
            distance_to_polyline(points, line)
    for points, states in (([[0, 0, 0]], [[0, 0]]), ([[0, 0]], np.zeros((0, 2))), (0.0, [[0.0]])):
        with pytest.raises(InputError, match=r"Points \(..., d\) and states \(n > 0, d\)"):
            distance_to_states(points, states)
    for actions, truth in (([[0, 0]], [0, 0]), ([[0, 0]], [[0, 0], [0, 0]]), ([], [])):
        with pytest.raises(InputError, match="Two arrays of actions"):
            action_error(actions, truth)
    for line, place in (([[0, 0], [1, 1]], 2), ([[0, 0], [1, 1]], -1), ([[0, 0, 0]], 0)):
        with pytest.raises(InputError, match=r"Vertex .* of a polyline \(n, 2\)"):
            beside(line, place, 0.1)


def pairings(n, m):
    """All monotone pairings of paths of n and m points."""
    if n == 1 and m == 1:
        yield [(0, 0)]
        return
    for i, j in ((n - 1, m), (n, m - 1), (n - 1, m - 1)):
        if i > 0 and j > 0:
            for before in pairings(i, j):
                yield [*before, (n - 1, m - 1)]


@pytest.mark.parametrize("sizes", [(1, 4), (4, 4), (5, 3)])
def test_warping_and_frechet_are_the_best_of_all_pairings(sizes):
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(3, sizes[0], 2)), rng.normal(size=(sizes[1], 2))
    for k, path in enumerate(p):
        found = [[np.linalg.norm(path[i] - q[j]) for i, j in pairs] for pairs in pairings(*sizes)]
        best = min(found, key=sum)
        assert metrics.dtw_per_point(p, q)[k] == pytest.approx(sum(best) / len(best))
        assert metrics.frechet_distance(p, q)[k] == pytest.approx(min(map(max, found)))


def test_warping_knows_order_where_the_nearest_point_does_not():
    t = np.linspace(0, 2 * np.pi, 41)
    circle = np.stack([np.cos(t), np.sin(t)], axis=1)
    assert metrics.dtw_per_point(circle, circle) == 0
    assert metrics.dtw_per_point(circle[::-1], circle) > 0.3
    assert metrics.distance_to_polyline(circle[::-1], circle).max() < 1e-12
    # a path that is passed at another pace is the same path
    slow = np.repeat(circle, 2, axis=0)
    assert metrics.dtw_per_point(slow, circle) == metrics.frechet_distance(slow, circle) == 0


def test_paths_of_other_dimensions_are_refused():
    with pytest.raises(InputError, match="Paths"):
        metrics.dtw_per_point(np.zeros((3, 2)), np.zeros((3, 3)))
