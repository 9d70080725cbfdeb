"""Fixtures that several test files share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from browser_support import missing, served  # noqa: F401  a fixture
from build_support import smoke_book  # noqa: F401  a fixture

from ebmlib import (
    SGLD,
    ContrastiveDivergence,
    DemonstrationConfig,
    EnergyConfig,
    Pairs,
    Run,
    TrainingConfig,
    seeding,
)

os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported; no test uses a card
torch.set_num_threads(1)  # the tensors are small, and another test run may share the cores


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the built book, and group what shares something for pytest-xdist.

    What builds the book is one group, and the first: it takes long. What only reads the built book
    is another, late enough that no worker waits for the build. Files that start many builds of
    their own come last: they keep all workers busy to the end. The other tests of a
    file are a group.
    """
    builds = ("batch", "cluster", "pipeline")
    order = {"the book": 0, "the book's readers": 2}
    order |= {f"tests/workflow/test_{name}.py": 3 for name in builds}
    for item in items:
        group = item.path.relative_to(item.config.rootpath).as_posix()
        if "smoke_book" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.book)
            group = "the book's readers" if group.startswith("tests/browser/") else "the book"
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: order.get(item.get_closest_marker("xdist_group").args[0], 1))  # type: ignore[union-attr]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked ``browser`` on a machine that has none."""
    if item.get_closest_marker("browser") and (lacking := missing()):
        pytest.skip(lacking)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the user's store."""
    monkeypatch.setenv("EBMLIB_STORE", str(tmp_path / "store"))


@pytest.fixture
def generator() -> Callable[..., torch.Generator]:
    """Make a generator: ``generator("noise")``, or ``generator("noise", 3)`` with another seed."""
    return lambda stream="test", seed=0: seeding.generator(seed, stream)


@pytest.fixture
def tiny_run() -> Run:
    """A complete run that trains in a few hundredths of a second."""
    return Run(
        data=DemonstrationConfig("circle", steps=25, repetitions=6, sigma=0.05),
        energy=EnergyConfig(z_dim=5, h_dim=8),
        objective=ContrastiveDivergence(sampler=SGLD(alpha=0.05, steps=4), sgld_dim=16),
        training=TrainingConfig(epochs=6, lr=0.01),
    )


@pytest.fixture
def tiny_pairs(generator: Callable[..., torch.Generator]) -> Pairs:
    """Forty pairs whose action depends on the state."""
    states = torch.randn(40, 2, generator=generator("states"))
    noise = torch.randn(40, 2, generator=generator("actions"))
    return Pairs(states, 0.3 * states.flip(1) + 0.05 * noise, torch.arange(40))
