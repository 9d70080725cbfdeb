"""Train one condition: ``python -m workflow.train CONDITION --profile P --output STAMP``.

Called by the Snakefile, so that models which several chapters show are trained side by side before
the chapters are executed, and not one after the other inside them. The model goes to the store.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workflow import job
from workflow.paths import ROOT


def main(arguments: list[str]) -> int:
    """Train one condition; return 0, or 1 if it failed."""
    parser = argparse.ArgumentParser(prog="python -m workflow.train")
    parser.add_argument("condition")
    parser.add_argument("--seed", type=int, help="one of a study's: it may diverge (default: 0)")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--gpus", default="")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(arguments)

    def work() -> None:
        from ebmlib.errors import DivergenceError
        from thesis import Companion

        try:
            companion = Companion(given.profile, given.device)
            told = companion.trained(given.condition, given.seed).record["key"]
        except DivergenceError as error:
            if given.seed is None:
                raise
            told = f"diverged: {error}"  # a study has a row for it
        (ROOT / given.output).write_text(f"{told}\n", encoding="utf-8")

    name = job_name(given.condition, given.seed)
    return job.run(name, given.profile, work, gpus=given.gpus, title="training")


def job_name(condition: str, seed: int | None = None) -> str:
    """Return the name of a training's job: ``model.start.noise-K-20``, ``model.circle.seed-3``."""
    name = "model." + condition.replace("/", ".")
    return name if seed is None else f"{name}.seed-{seed}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
