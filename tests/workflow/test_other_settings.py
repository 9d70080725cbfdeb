"""Pages executed at other settings than the book's: they are still true.

Every page that trains or samples is executed, tiny, with changed values, and made ready as the
build does it. No number may be left in its prose that no cell made, unless ``FIXED`` knows it: what
a measure is defined by, say, is the same at all settings.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat.v4 import output_from_msg

from ebmlib.errors import InputError
from thesis import Companion
from thesis.conditions import condition
from workflow import batch, batch_run, chapters, page_settings
from workflow.execute import prepare

LIST = chapters.load()
PAGES = [
    chapter.name
    for chapter in LIST
    if {"alpha", "epochs"} <= chapters.parameter_defaults(chapter.source).keys()
    and chapter.name not in ("lab", "path1", "mouse1", "mouse2")  # lab: test_batch.py; one of four
]
CHANGED = {"seed": 3, "alpha": 0.0125, "K": 7, "epochs": 6, "sgld_dim": 48, "lr": 0.0015}
TINY = {"profile": "smoke", "device": "cpu"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One store for all pages."""
    place = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EBMLIB_STORE", str(place))
        yield place


def executed(name: str, **given: Any) -> Any:
    """A chapter's notebook with outputs, executed in this process: kernels take their time."""
    notebook = prepare(LIST[name])
    values = {**LIST.parameters(name, "smoke", "cpu"), **given}
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        with capture_output() as captured:
            result = shell.run_cell(cell.source, store_history=False)
        result.raise_error()
        if "parameters" in cell.metadata.get("tags", []):
            shell.push(values)
        cell.outputs = [_output(shown.data, shown.metadata) for shown in captured.outputs]
        if result.result is not None:
            cell.outputs.append(_output(*shell.display_formatter.format(result.result)))
    InteractiveShell.clear_instance()
    return notebook


def _output(data: Any, about: Any) -> Any:
    text = {kind: shown for kind, shown in (data or {}).items() if isinstance(shown, str)}
    content = {"data": text, "metadata": dict(about or {})}
    return output_from_msg({"content": content, "header": {"msg_type": "display_data"}})


# --- numbers of the prose ------------------------------------------------------------------------

WORDS = ("ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBER = re.compile(
    rf"(?<![\w.])\d[\d.,]*\d|(?<![\w.])\d|\b(?:{'|'.join(WORDS)}|hundred|thousand)\b"
)
OF_A_TEXT = re.compile(  # a place in the thesis or the literature, no measured number
    r"(?:Figures?|Eqs?\.?|Equations?|[Ss]ections?|Tables?|Algorithms?|[Cc]hapters?|Assumptions?"
    r"|[Tt]hesis(?=\s+\d\.\d))"
    r"\s+[\d.]*\d(?:(?:,| and| to|, and)\s+[\d.]*\d)*"
)
VALUE = re.compile(r"\$[^$]*(?:\\alpha|K|epochs)\s*=\s*\d[^$]*\$")


def numbers(text: str) -> list[str]:
    """The numbers of a text that no cell made, and values of the book within its formulas."""
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"```\{[^`]*?```", lambda found: found[0].replace("`", ""), text)
    text = re.sub(r"\{\w[\w:]*\}`[^`]*`|`[^`]*`|\]\([^)]*\)|^\(\S+\)=$", "", text, flags=re.M)
    found = VALUE.findall(text)
    text = OF_A_TEXT.sub("", re.sub(r"\$[^$]*\$", "", text))
    return found + NUMBER.findall(re.sub(r"^\s*(?:\*\*)?\d+\.\s", "", text, flags=re.M))


def prose(notebook: Any) -> Iterator[str]:
    """Markdown, captions and alternative texts of a notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield cell.source
        about = cell.metadata.get("mystnb", {})
        yield about.get("figure", {}).get("caption", "")
        yield about.get("image", {}).get("alt", "")


FIXED = json.loads(Path(__file__).with_name("fixed_numbers.json").read_text(encoding="utf-8"))
"""Chapter -> numbers of its prose that are the same at all settings, as often as they stand there.

They define a measure or a figure, are of the thesis, or were measured over seeds at settings that
the sentence or the page names. Whoever writes a new one asks whether it is of that kind; if not, a
cell makes it (``glue``), or its paragraph is tagged ``book-settings``.
"""


def unknown(name: str, notebook: Any) -> list[str]:
    """Numbers of a page's prose that no cell made and that ``FIXED`` does not know."""
    left = Counter(FIXED.get(name, []))
    told = ", ".join(f"{key} = {value}" for key, value in page_settings.changes(notebook).items())
    found = []
    for text in prose(notebook):
        for number in numbers(text.replace(told, "")):
            if left[number]:
                left[number] -= 1
            else:
                found.append(f"{number!r} in: {' '.join(text.split())[:90]}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_at_other_settings_has_no_number_that_no_cell_made(name: str, store: Path) -> None:
    notebook = executed(name, **CHANGED, **TINY)
    assert page_settings.changes(notebook).keys() == CHANGED.keys()
    drawn = [output.metadata.get("ebmlib", {}) for cell in notebook.cells
             if cell.cell_type == "code" for output in cell.outputs]  # fmt: skip
    settings = [about["settings"] for about in drawn if "settings" in about]
    assert settings and all(each == page_settings.changes(notebook) for each in settings)
    recorded = batch_run.numbers(notebook)
    ready = page_settings.adapt(notebook)
    text = "\n".join(prose(ready))
    assert set(re.findall(r"\{glue:text\}`([^`:]+)", text)) <= recorded.keys()
    assert "seed 0" not in text or "with seed 0 many" in text
    assert unknown(name, ready) == []
    verdicts = sum(".verdict(" in cell.source for cell in ready.cells if cell.cell_type == "code")
    assert text.count(page_settings.OF_THE_BOOK) == verdicts


def test_a_number_in_the_prose_is_found() -> None:
    """What the test above is for."""
    for text, found in [
        ("it is at 0.31 after", ["0.31"]), ("at $\\alpha = 0.01$ it", ["$\\alpha = 0.01$"]),
        ("after a hundred epochs", ["hundred"]), ("see Figure 4.1 and section 3.2, Eq 3.5", []),
        ("thesis 4.2 and\n**2. The price.** What", []), ("the thesis 12 times, **2**", ["12", "2"]),
        ("it is {glue:text}`x` times $2\\pi$, see `f(3)`", []), ("with $K = 100$", ["$K = 100$"]),
    ]:  # fmt: skip
        assert numbers(text) == found, text
    cell = nbformat.v4.new_markdown_cell("The loss ends at 0.777.")
    assert unknown("circle", nbformat.v4.new_notebook(cells=[cell]))


@pytest.mark.parametrize("name", ["circle", "non-converging"])
def test_a_page_at_the_book_s_settings_stays_as_it_is(name: str, store: Path) -> None:
    values = LIST.parameters(name, "default", "cpu")
    known = {**chapters.parameter_defaults(LIST[name].source), **values}
    own = {key: known[key] for key in ("alpha", "K", "epochs", "sgld_dim", "lr", "sigma", "z_dim")}
    thesis = Companion.page("circle", device="cpu", **own, reg_l1=0.0, objective=known["objective"])
    assert thesis.changes == {} and thesis.note() is None and thesis.at == "seed 0"
    for condition_name in LIST.models([name]):
        assert thesis.run(condition_name) == condition(condition_name)
    notebook = prepare(LIST[name])
    before = json.dumps(notebook)
    assert json.dumps(page_settings.adapt(notebook)) == before


def test_what_holds_for_the_book_alone_is_left_out() -> None:
    def shown(**about: Any) -> list[Any]:
        return [_output({"text/plain": "x"}, {"ebmlib": about})]

    def page(**changes: Any) -> Any:
        cells = [
            nbformat.v4.new_code_cell("thesis.note()", outputs=shown(changes=changes)),
            nbformat.v4.new_markdown_cell("of pictures", metadata={"tags": ["book-settings"]}),
            nbformat.v4.new_markdown_cell("of all"),
            nbformat.v4.new_markdown_cell("```{admonition} To take away\n- it settles\n```"),
            nbformat.v4.new_code_cell('thesis.figure("4.6")'),
            nbformat.v4.new_code_cell('thesis.verdict("C27")'),
        ]
        figure = {"figure": {"caption": "R over epochs."}, "image": {"alt": "it rises to 3"}}
        cells[4].metadata["mystnb"] = figure
        told = {"settings": changes} if changes else {}
        cells[4].outputs = shown(figure="4.6", **{"from": {"circle": "1"}}, **told)
        return page_settings.adapt(nbformat.v4.new_notebook(cells=cells))

    other = page(alpha=0.02)
    assert "of pictures" not in [cell.source for cell in other.cells]
    about = next(cell for cell in other.cells if "figure(" in cell.source).metadata["mystnb"]
    assert about["figure"]["caption"].strip() == "R over epochs. Drawn at alpha = 0.02."
    assert "rises" not in about["image"]["alt"] and "alpha = 0.02" in about["image"]["alt"]
    assert other.cells[-2].source == page_settings.OF_THE_BOOK
    taken = [cell.source for cell in other.cells if "To take away" in cell.source]
    assert taken == ["```{admonition} To take away, at the settings of the book\n- it settles\n```"]
    book = page()
    assert len(book.cells) == 6 and book.cells[1].source == "of pictures"
    assert book.cells[3].source.startswith("```{admonition} To take away\n")
    assert book.cells[4].metadata["mystnb"]["image"]["alt"] == "it rises to 3"


def test_what_differs_on_purpose_stays_and_what_is_the_book_s_is_replaced() -> None:
    thesis = Companion.page("circle", alpha=0.02, K=100, epochs=1000, sgld_dim=512, lr=0.001)
    assert thesis.run("circle").sampler.alpha == thesis.run("mouse1").sampler.alpha == 0.02
    assert thesis.run("noise/alpha-0.001-K-100") == condition("noise/alpha-0.001-K-100")
    longer = Companion.page("circle", K=200)
    assert longer.run("mouse1-K-100").sampler.steps == 200
    assert longer.run("mouse1") == condition("mouse1")  # 256 steps on purpose
    given = {"alpha": 0.005, "K": 50, "lr": 0.001, "objective": "nce", "reg_l1": 0.0}
    other = Companion.page("circle", **given).run("circle")
    assert (
        type(other.objective).__name__ == "NCE" and other.effective_inference.kernel.alpha == 0.005
    )
    with pytest.raises(InputError, match="no parameter 'steps'"):
        Companion.page("circle", steps=3)
    with pytest.raises(InputError, match="alpha must be a finite number above 0"):
        Companion.page("circle", alpha=-1.0)


def test_a_batch_does_not_change_what_makes_a_page() -> None:
    for name in ("path1", "circle", "mouse1", "mouse2"):
        found = batch.parameters(LIST[name])
        assert {"alpha", "K", "epochs", "seed", "objective"} <= found.keys()
        assert not {"dataset", "inside", "claim"} & found.keys()
    assert batch.parameters(LIST["mouse1"])["K"] == 256


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_laboratory_takes_data_of_any_dimension(dim: int, tmp_path: Path) -> None:
    """What needs the plane or a grid is left out with a sentence, and so is what reads it."""
    t = np.linspace(0, 1, 40)
    noise = np.random.default_rng(0).normal(scale=0.01, size=(6, 40, dim))
    curve = np.stack([t, np.sin(3 * t), t**2][:dim], axis=1)
    np.savez(tmp_path / "own.npz", *(curve + noise))
    notebook = executed("lab", dataset=str(tmp_path / "own.npz"), **TINY)
    kinds = {1: {"plane"}, 2: set(), 3: {"plane", "grid"}}[dim]
    assert page_settings.left_out(notebook) == kinds
    said = [
        output.data["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "left_out" in output.metadata.get("ebmlib", {})
    ]
    assert len(said) == {1: 4, 2: 0, 3: 5}[dim]
    assert all(f"and these have {dim}." in sentence for sentence in said)
    found = batch_run.numbers(notebook)
    ready = page_settings.adapt(notebook)
    text = "\n".join(prose(ready))
    used = set(re.findall(r"\{glue:text\}`([^`:]+)", text))
    assert used <= found.keys()
    lacking = {name for name in used if isinstance(found[name], float) and np.isnan(found[name])}
    assert lacking <= {"kl"}  # six strokes of a hand: their own density is not known
    assert ("Inside and outside are sides" in text) == (dim != 2)
    assert found["dataset"] == "own" and 0 < found["distance_on"] < 10
