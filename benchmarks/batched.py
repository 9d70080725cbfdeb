"""Ten seeds of one method: as one stack, or one after the other.

    python -m benchmarks.batched [--updates 40] [--repeats 3] [--seeds 10]

Every method trains the benchmark's network (``thesis/benchmark/settings.py``) on fork. The rounds
are interleaved, and what counts is the ratio of seconds within a round. ``loop`` is one after the
other by the same code with a stack of one; ``library`` is ``ebmlib.training.loop.train``, which a
user gets, with its report of gradient norms.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.measuring import interleaved, provenance, warn_if_busy, write
from ebmlib import seeding
from ebmlib.models.energy import EnergyModel
from ebmlib.training.loop import TrainingConfig, train
from thesis.benchmark.batched import Slice, train_slices
from thesis.benchmark.problems import problem
from thesis.benchmark.runner import training_set
from thesis.benchmark.settings import ENERGY, METHODS, REFERENCE

NAMES = (
    "ranking-nce",
    "nce",
    "learned-ranking-nce",
    "denoising-score-matching",
    "score-matching",
    "exact-likelihood",
    "cd-noise",
)


def main() -> None:
    """Measure, print a table, write ``results/batched.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    warn_if_busy()
    record: dict[str, object] = {"options": vars(options), **provenance()}
    for name in NAMES:
        tasks = {way: partial(_train, name, way, options.seeds, options.updates)
                 for way in ("stack", "loop", "library")}  # fmt: skip
        seconds = interleaved(tasks, options.repeats)
        ratios = {
            way: median(a / b for a, b in zip(seconds[way], seconds["stack"], strict=True))
            for way in ("loop", "library")
        }
        record[name] = {"seconds": seconds, "times_the_stack": ratios}
        loop, library = ratios["loop"], ratios["library"]
        print(f"{name:26} loop {loop:5.1f}, library {library:5.1f} times the stack", flush=True)
        write("batched", record)


def _train(name: str, way: str, seeds: int, updates: int) -> None:
    method, training = METHODS[name], TrainingConfig(epochs=updates, lr=1e-2)
    known = problem("fork")
    reference = known.pairs(REFERENCE, generator=seeding.generator(0, "reference"))
    slices = [Slice(training_set("fork", 2048, seed), seed, 1e-2) for seed in range(seeds)]
    objective_of: Callable[[int], object] = partial(method.objective, method.values[0], 2)
    if way != "library":
        train_slices(
            slices,
            objective_of,  # type: ignore[arg-type]
            way == "loop",
            energy=ENERGY,
            training=training,
            reference=reference,
            generators=seeding.generator,
        )
        return
    for each in slices:
        model = EnergyModel(ENERGY, 2, 2, generator=seeding.generator(each.seed, "weights"))
        generator = seeding.generator(each.seed, "training")
        train(model, each.pairs, method.objective(method.values[0], 2, 1), training,
              generator=generator)  # fmt: skip


if __name__ == "__main__":
    main()
