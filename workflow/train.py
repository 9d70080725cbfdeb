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
    """Train one condition with seed 0; return 0, or 1 if it failed."""
    parser = argparse.ArgumentParser(prog="python -m workflow.train")
    parser.add_argument("condition")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--gpus", default="")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(arguments)

    def work() -> None:
        from thesis import Companion

        trained = Companion(given.profile, given.device).trained(given.condition)
        (ROOT / given.output).write_text(f"{trained.record['key']}\n", encoding="utf-8")

    name = job_name(given.condition)
    return job.run(name, given.profile, work, gpus=given.gpus, title="training")


def job_name(condition: str) -> str:
    """Return the name of a condition's job: ``model.start.noise-K-20``."""
    return "model." + condition.replace("/", ".")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
