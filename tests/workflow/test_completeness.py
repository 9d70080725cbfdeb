"""The check that the whole thesis is in the built book."""

import pytest

from workflow.completeness import OTHERS, check, missing
from workflow.paths import WorkflowError


def page(folder, name, body):
    (folder / "book").mkdir(exist_ok=True)
    (folder / "book" / f"{name}.html").write_text(f"<article>{body}</article>")


def caption(text):
    return f"<figure><figcaption>{text}</figcaption></figure>"


WHOLE = [
    *(caption(f"A drawing (Figure {n} of the thesis).") for n in ("2.1", "2.2", "3.1", "3.2")),
    caption("Two policies (Figures 3.3 and\n  3.4 of the thesis)."),
    caption("Particles (Figures 4.1 to 4.11 of the thesis)."),
    caption("Paths (Figures 4.12, 4.13, 4.14, 4.15, 4.16, 4.17, 4.18 and 4.19 of the thesis)."),
    caption("Mice (Figures 4.20\u20134.27 of the thesis)."),
    *(f'<div id="claim-c{n:02d}"></div>' for n in range(1, 41)),
    *(f'<div id="claim-d{n:02d}"></div>' for n in range(1, 6)),
    *(f"<p>{item}.</p>" for item in OTHERS),
]


def test_a_book_that_has_everything_passes(tmp_path):
    for number, part in enumerate(WHOLE):
        page(tmp_path, f"page{number}", part)
    assert missing(tmp_path) == []
    check(tmp_path)


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("Figure 2.1 ", ["Figure 2.1"]),
        ("claim-c17", ["claim C17"]),
        ("claim-d03", ["claim D03"]),
        ("Algorithm 2", ["Algorithm 2"]),
        ("Figures 4.1 to", [f"Figure 4.{n}" for n in range(1, 12)]),
        ("Eq 3.5", ["Eq 3.5"]),
    ],
)
def test_what_is_lost_is_named(tmp_path, lost, told):
    for number, part in enumerate(WHOLE):
        if lost not in part:
            page(tmp_path, f"page{number}", part)
    assert missing(tmp_path) == told
    with pytest.raises(WorkflowError, match=told[0]):
        check(tmp_path)


def test_a_number_in_the_text_is_not_a_figure_and_4_11_is_not_4_1(tmp_path):
    page(
        tmp_path,
        "one",
        "<p>See Figure 2.1 of the thesis.</p>" + caption("Figure 4.11 of the thesis"),
    )
    lacking = missing(tmp_path)
    assert "Figure 2.1" in lacking and "Figure 4.1" in lacking and "Figure 4.11" not in lacking
