"""Tables of graphics cards: what a file of ``benchmarks/gpu.py`` says, and nothing without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from thesis import cards
from workflow import chapters
from workflow.paths import ROOT


def record(card: str, verdict: str) -> dict[str, Any]:
    median = {"median": 0.25, "fastest": 0.2, "slowest": 0.3}
    rate = {"seconds": median, "chain_steps_per_second": 4096e3, "of_matrix_product": 0.125,
            "times_eager": 8.0}  # fmt: skip
    return {
        "card": card, "versions": {"torch": "2.9"}, "cuda": "12.8", "date": "today", "commit": "c",
        "steps": 100, "agreement": {"triton": {"figure 3.2": "agrees", "wide": verdict}},
        "chains": {"4096": {"samplers": {"triton": rate}}},
        "training": {"epochs": 1000, "seconds": 12.34, "fused": "triton"},
        "seeds": {"count": 16, "epochs": 20, "alone, eager": median,
                  "alone, fused": {**median, "median": 0.5}, "in step": {**median, "median": 0.75}},
    }  # fmt: skip


def test_every_card_has_a_table_under_its_name(tmp_path: Path) -> None:
    for name, verdict in (("Card A", "agrees"), ("Card B", "differs by 0.1")):
        path = tmp_path / f"gpu-{name.replace(' ', '-').lower()}.json"
        path.write_text(json.dumps(record(name, verdict)))
    (tmp_path / "drawings.json").write_text("{}")  # another benchmark's
    first, second = cards.Cards.measured(tmp_path)._repr_markdown_().split("\n\n**Card B**")
    assert first.startswith("**Card A**") and "| 4,096 | triton | 4.1e+06 | 8 | 12.5% |" in first
    assert "found no difference" in first and "took 12.3 s" in first
    assert "0.25 ms eager, 0.50 ms fused, and 0.75 ms as one of 16 seeds" in first
    assert "refused: triton on wide" in second
    assert {line.count("|") for line in first.splitlines() if "|" in line} == {6}


def test_without_a_file_one_sentence_names_the_command(tmp_path: Path) -> None:
    assert cards.Cards.measured(tmp_path)._repr_markdown_() == cards.NONE
    assert "python -m benchmarks.gpu" in cards.NONE


def test_a_measured_benchmark_makes_pages_out_of_date_and_no_model() -> None:
    shown = {f"benchmarks/results/{path.name}" for path in cards.MEASURED.glob("*.json")}
    assert "benchmarks/results/drawings.json" in shown
    assert set(chapters.benchmark_files()) == shown
    assert not shown & {*chapters.training_files(), *chapters.study_files()}
    assert "benchmarks=chapter_list.benchmark_files()" in (ROOT / "Snakefile").read_text()
