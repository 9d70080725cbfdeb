"""The recipe for drawings: what it chooses, what it refuses, what it follows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data import make_mouse
from ebmlib import (
    Demonstrations,
    InputError,
    NoiseLevelWarning,
    StateFeatures,
    Store,
    for_drawing,
    recipe,
    seeding,
)
from ebmlib.comparison.protocol import Split, branches, read_shape
from ebmlib.demonstrations.svg import write_svg
from ebmlib.evaluation.metrics import dtw_per_point
from ebmlib.policies.ends import ARRIVED
from ebmlib.policies.trained import TrainedPolicy

LAIR = Path(__file__).parents[2] / "shared" / "lair"


def drawn(shape, count=5, seed=0):
    return make_mouse.drawing(shape, count, np.random.default_rng(seed))


def demonstrations(shape, count=5, factor=1.0):
    arrays = [factor * x for x in drawn(shape, count)]
    return Demonstrations.from_arrays(arrays, steps=100, scaling="together")


@pytest.mark.parametrize(
    ("shape", "ambiguous"),
    [("crossing", True), ("returning", True), ("forking", False), ("speeds", False)],
)
def test_crossings_and_returns_are_told_from_forks_and_plain_paths(shape, ambiguous):
    share = recipe.ambiguity(demonstrations(shape))
    assert (share > 2 * recipe.AMBIGUOUS) if ambiguous else (share < recipe.AMBIGUOUS / 2)


def test_a_crossing_gets_a_clock_and_the_line_says_why():
    choice = recipe.choose(demonstrations("crossing"))
    assert choice.run.features.clock
    assert "passed again" in choice.line and "\n" not in choice.line
    asked = recipe.choose(demonstrations("crossing"), features=StateFeatures())
    assert asked.run.features == StateFeatures() and "as asked" in asked.line


def test_what_is_chosen_does_not_depend_on_the_units_of_the_drawing():
    ours, theirs = (recipe.choose(demonstrations("crossing", factor=k)).run for k in (1.0, 1e-3))
    assert ours.features == theirs.features
    assert ours.objective.data_noise == pytest.approx(theirs.objective.data_noise)
    assert ours.objective.state_noise == pytest.approx(theirs.objective.state_noise)


@pytest.mark.parametrize("short", [101, 60])
def test_distances_to_paths_are_those_of_each_path_alone(short):
    paths = list(demonstrations("crossing").trajectories)
    paths[1] = paths[1][:short]
    alone = [float(dtw_per_point(paths[0], x)) for x in paths]
    assert recipe._distances(paths, paths[0]).tolist() == alone


def test_only_a_fork_has_branches():
    assert branches(demonstrations("forking").trajectories).tolist() == [0, 1, 0, 1, 0]
    for shape in ("crossing", "returning", "speeds"):
        assert branches(demonstrations(shape).trajectories) is None


def test_demonstrations_are_scaled_together_and_only_copies_get_noise(tmp_path):
    path = tmp_path / "mine.svg"
    several = drawn("crossing", 3)
    write_svg(path, several)
    data = for_drawing(str(path)).demonstrations()
    assert len(set(data.scales)) == 1 and data.sigma == 0
    lengths = [np.linalg.norm(np.diff(x, axis=0), axis=1).sum() for x in data.trajectories]
    assert np.mean(lengths) == pytest.approx(2 * np.pi) and np.ptp(lengths) > 1e-3
    write_svg(path, several[:1])
    single = for_drawing(str(path)).demonstrations()
    assert len(single) == 20 and single.sigma == 0.01


def test_a_noise_level_past_the_limit_is_refused_unless_forced(tmp_path):
    path = tmp_path / "mine.svg"
    write_svg(path, drawn("crossing", 3))
    loud = {"objective": "contrastive-divergence", "alpha": 0.5}
    with pytest.raises(InputError, match=r"alpha 0\.5 is past the stability limit .*force"):
        for_drawing(str(path), **loud)
    with pytest.warns(NoiseLevelWarning, match="past the stability limit"):
        assert for_drawing(str(path), force=True, **loud).sampler.alpha == 0.5


@pytest.mark.slow
def test_a_drawing_that_crosses_itself_is_followed_to_its_end(tmp_path):
    split = Split.of("crossing", drawn("crossing", 7), first=4)
    trained, choice = recipe.train(split.train, store=Store(tmp_path), seed=1)
    policy = TrainedPolicy.of(trained)
    assert "updates" in choice.line
    followed = policy.follow(torch.zeros(5, 2), generator=seeding.generator(0, "rollout"))
    assert {path.why for path in followed} == {ARRIVED}
    assert all(80 <= len(path.actions) <= 120 for path in followed)
    far = recipe.dtw_per_point(followed[0].points, split.kept[0])
    assert far < 1.5 * split.floor()
    path = tmp_path / "mine.policy"
    policy.save(path)
    again = TrainedPolicy.load(path).follow(
        torch.zeros(5, 2), generator=seeding.generator(0, "rollout")
    )
    np.testing.assert_array_equal(again[0].points, followed[0].points)


@pytest.mark.skipif(not LAIR.is_dir(), reason="shared/lair is not here")
def test_people_who_cross_their_own_path_are_recognised():
    for shape in ("e", "G_angle", "mountain", "two_roads"):
        train = Split.of(shape, read_shape(LAIR / shape)).train
        assert (recipe.ambiguity(train) > recipe.AMBIGUOUS) == (shape == "e")
