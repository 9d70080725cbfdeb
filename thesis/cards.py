"""What graphics cards do with the fused chains: tables of what ``benchmarks/gpu.py`` measured.

A card's numbers are those of the machine that measured them, so every table names its card.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thesis.markdown import table

MEASURED = Path(__file__).parents[1] / "benchmarks" / "results"
NONE = (
    "No card was measured for this edition of the book. On a machine with one, `python -m "
    "benchmarks.gpu` writes a file, and the next build shows it here under the card's name."
)
HEAD = ("chains at once", "sampler", "chain steps per second", "times eager",
        "share of the matrix product's rate")  # fmt: skip


@dataclass(frozen=True)
class Cards:
    """A part for every card that was measured; one sentence where none was.

    Attributes:
        records: the files as they were written, by card.
    """

    records: tuple[dict[str, Any], ...]

    @classmethod
    def measured(cls, folder: Path = MEASURED) -> Cards:
        """What is committed, or was written by the reader, in a folder."""
        files = sorted(folder.glob("gpu-*.json"))
        return cls(tuple(json.loads(path.read_text(encoding="utf-8")) for path in files))

    def _repr_markdown_(self) -> str:
        return "\n\n".join(map(_part, self.records)) or NONE


def _part(record: dict[str, Any]) -> str:
    rows = [
        (f"{int(chains):,}", name, f"{one['chain_steps_per_second']:.3g}",
         f"{one['times_eager']:.2g}", f"{one['of_matrix_product']:.1%}")
        for chains, rates in record["chains"].items()
        for name, one in rates["samplers"].items()
    ]  # fmt: skip
    refused = [
        f"{kernel} on {form}"
        for kernel, forms in record["agreement"].items()
        for form, said in forms.items()
        if said != "agrees"
    ]
    trained, seeds = record["training"], record["seeds"]
    lines = [
        f"**{record['card']}**, PyTorch {record['versions']['torch']}, CUDA {record['cuda']}, "
        f"{record['date']}, commit {record['commit']}. A chain has {record['steps']} steps.",
        "",
        *table([HEAD, *rows]),
        "",
        "The check against the eager path "
        + ("found no difference." if not refused else f"refused: {', '.join(refused)}.")
        + f" Training circle for {trained['epochs']:,} epochs took {trained['seconds']:.1f} s. "
        f"An epoch of one seed took {seeds['alone, eager']['median']:.2f} ms eager, "
        f"{seeds['alone, fused']['median']:.2f} ms fused, and {seeds['in step']['median']:.2f} ms "
        f"as one of {seeds['count']} seeds in step.",
    ]
    return "\n".join(lines)
