"""What the book's Sphinx extensions do with names, docstrings and words of the glossary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from build_support import ROOT
from docutils import nodes

import ebmlib
from workflow import glossary, reference

# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["ebmlib.Store", "ebmlib.training.store.Store.load", "torch.Tensor", "Tensor", "int", "t.Any"],
)
def test_a_name_that_exists_is_found(name: str) -> None:
    reference.find(name, "ebmlib")


def test_a_name_of_an_attribute_without_a_value_is_found() -> None:
    reference.find("ebmlib.Run.data")


@pytest.mark.parametrize(
    "name", ["ebmlib.Stores", "ebmlib.Store.lode", "Tensors", "nowhere.at.all"]
)
def test_a_name_that_nobody_has_is_reported(name: str) -> None:
    with pytest.raises(LookupError):
        reference.find(name, "ebmlib")


def test_a_public_name_and_where_it_is_defined_are_one_thing() -> None:
    assert reference.defined_as(ebmlib.Store) == "ebmlib.training.store.Store"
    assert reference.defined_as(None) == ""  # values have no name: nothing may link to "."


# --- docstrings -------------------------------------------------------------------------------


def restructured(*lines: str, what: str = "class") -> list[str]:
    made = list(lines)
    reference.as_restructured(None, what, "name", None, None, made)
    return made


def test_an_indented_equation_stays_as_it_is_typed() -> None:
    made = restructured("One update is", "", "    a' = a + |xi| * 2", "", "for every chain.")
    assert made == [
        *("One update is", "", ".. code-block:: text", ""),
        *("    a' = a + |xi| * 2", "", "for every chain."),
    ]


def test_bars_and_stars_in_text_are_signs_and_emphasis_stays() -> None:
    (made,) = restructured("The mean of |f| and a*b, *not* of ``|g|``.")
    assert made == r"The mean of \|f\| and a\*b, *not* of ``|g|``."


def test_a_number_of_the_thesis_says_so() -> None:
    (made,) = restructured("See section 2.4, Eq 3.5 and Figure 4.7 of the thesis.")
    assert made == "See thesis 2.4, thesis Eq 3.5 and Figure 4.7 of the thesis."


def test_two_names_in_one_line_are_two_entries() -> None:
    made = restructured("Words.", "", "Attributes:", "    start, sampler: of the chains.")
    assert made[-2:] == ["    start: see ``sampler``", "    sampler: of the chains."]
    wrapped = ("    start,", "        sampler: of the chains.")
    assert restructured("Words.", "", "Attributes:", *wrapped)[-2:] == made[-2:]


def test_a_shape_before_a_colon_is_no_type() -> None:
    (made,) = restructured("(n, d): every position.", what="property")
    assert made == "(n, d) – every position."
    (made,) = restructured("How actions are drawn: ``inference``: see there.", what="property")
    assert made == "How actions are drawn – ``inference``: see there."


def signed(found: object, arguments: str) -> object:
    return reference.signature(None, "class", "name", found, None, arguments, None)


def test_an_interface_and_an_error_are_shown_without_arguments() -> None:
    assert signed(ebmlib.Target, "(*args, **kwargs)") == ("", "")
    assert signed(ebmlib.InputError, "(*args)") == ("", "")
    assert signed(ebmlib.Run, "(energy: E = <factory>)") == ("(energy: E = ...)", None)


# --- the glossary -----------------------------------------------------------------------------

TEXT = (
    "# Glossary\n\n```{glossary}\nnoise level\n  $\\alpha$: the noise of a step.\n\n"
    "KL divergence\n  A distance, in nats. More.\n```\n"
)


def test_words_are_read_with_what_they_mean_in_plain_signs() -> None:
    assert glossary.words(TEXT) == {
        "noise level": "α: the noise of a step.",
        "KL divergence": "A distance, in nats. More.",
    }


def test_the_books_glossary_can_be_read() -> None:
    found = glossary.words((ROOT / "book/glossary.md").read_text(encoding="utf-8"))
    assert len(found) > 40
    for word, meaning in found.items():
        assert meaning and not set("\\${}") & set(meaning), (word, meaning)


def page(*paragraphs: nodes.Element) -> tuple[Any, nodes.document]:
    document = nodes.document(None, None)  # type: ignore[arg-type]
    document += list(paragraphs)
    return document


@pytest.fixture
def app(tmp_path: Any) -> Any:
    (tmp_path / "book").mkdir()
    (tmp_path / "book/glossary.md").write_text(TEXT)
    env = SimpleNamespace(docname="book/method/page", note_dependency=lambda _: None)
    return SimpleNamespace(env=env, srcdir=str(tmp_path))


def test_the_first_use_of_a_word_is_linked_and_explained(app: Any) -> None:
    document = page(
        nodes.title("", "The noise level"),
        nodes.paragraph("", "Noise levels differ; a noise level is a number."),
        nodes.paragraph("", "A noise level again, and a KL divergence."),
    )
    glossary.link_words(app, document)
    links = list(document.findall(nodes.reference))
    assert [link.astext() for link in links] == ["Noise levels", "KL divergence"]
    assert links[0]["refuri"] == "../../book/glossary.html#term-noise-level"
    assert links[1]["refuri"].endswith("#term-KL-divergence")
    assert links[0]["reftitle"] == "α: the noise of a step."
    assert document.astext().count("noise level") == 3  # nothing of the text is lost


def test_code_links_captions_and_the_glossary_are_left_alone(app: Any) -> None:
    code = nodes.paragraph("", "", nodes.literal("", "noise level"))
    link = nodes.paragraph("", "", nodes.reference("", "noise level", refuri="x"))
    caption = nodes.legend("", nodes.paragraph("", "A noise level of a figure."))
    document = page(code, link, caption)
    glossary.link_words(app, document)
    assert len(list(document.findall(nodes.reference))) == 1
    app.env.docname = "book/glossary"
    document = page(nodes.paragraph("", "noise level"))
    glossary.link_words(app, document)
    assert not list(document.findall(nodes.reference))
