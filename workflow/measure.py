"""Measure one study: ``python -m workflow.measure STUDY [--seeds N] --output FILE``.

Called by the Snakefile in the full profile. ``python -m workflow.measure --publish`` copies the
results of the last full run into the package, where the other profiles read them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workflow import job
from workflow.paths import BUILD, ROOT


def main(arguments: list[str]) -> int:
    """Measure one study over its seeds; return 0, or 1 if it failed."""
    parser = argparse.ArgumentParser(prog="python -m workflow.measure")
    parser.add_argument("study", nargs="?")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--gpus", default="")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args(arguments)
    if given.publish:
        return publish()
    if given.study is None or given.output is None:
        parser.error("a study and --output are needed, or --publish")

    def work() -> None:
        from ebmlib.training.run import device_of
        from thesis import measured, studies
        from thesis.study import measure

        results = measure(
            studies.study(given.study),
            seeds=None if given.seeds is None else range(given.seeds),
            device=device_of(given.device),
            work=BUILD / "measurements",
        )
        measured.save(results, (ROOT / given.output).parent)

    return job.run(f"study.{given.study}", "full", work, gpus=given.gpus, title="measuring")


def publish() -> int:
    """Copy the results of the last full run into the package, unless one of them is stale."""
    from thesis import measured

    folder = job.results_folder("full")
    found = [measured.load(path.stem, folder) for path in sorted(folder.glob("*.json"))]
    stale = [results.study for results in found if measured.stale(results)]
    if stale or not found:
        what = f"these are out of date: {', '.join(stale)}" if stale else "there are none"
        print(f"No results were published, {what}; run ./run_all.sh --profile full first.")
        return 1
    for results in found:
        measured.save(results, measured.COMMITTED, publish=True)
    print(f"Published {len(found)} studies to {measured.COMMITTED.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
