"""What a reader sees of verdicts: few words, no internal names, formulas set as formulas."""

import dataclasses
import itertools
import re

import pytest

from thesis import claim, claims, studies
from thesis.companion import Companion
from thesis.conditions import CONDITIONS
from thesis.display import Correction, VerdictBox, plain
from thesis.statistics import Estimate, estimate
from thesis.strip import strip

WORDS, IN_A_SENTENCE, FOLDED = 115, 42, 420
"""Words that a box may have before it is unfolded, in its sentence, and folded."""

BOXES = {box.claim.id: box for box in Companion().verdicts()}
ALL = BOXES | {box.claim.id: box for box in Companion().verdicts("D")}
INTERNAL = {
    name for name in (*CONDITIONS, *studies.studies()) if re.search(r"[/_-]", name)
}  # those of one word (path1, circle) are the thesis's


def prose(text):
    """Words of a text, without pictures and with each formula as one."""
    text = re.sub(r"<div.*?</div>", "", text, flags=re.S)
    return re.sub(r"\$[^$]*\$", "x", text)


@pytest.mark.parametrize("box", ALL.values(), ids=ALL)
def test_a_box_is_short(box):
    assert len(prose(box.summary()).split()) <= WORDS
    assert len(prose(box.details()).split()) <= FOLDED
    assert len(prose(box.verdict.reading).split()) <= IN_A_SENTENCE
    assert not re.search(r"[.!?] [A-Z]", prose(box.verdict.reading)), "one sentence"


@pytest.mark.parametrize("box", ALL.values(), ids=ALL)
def test_a_box_has_no_internal_names_and_no_untypeset_formulas(box):
    text = prose(box._repr_markdown_().split("\n", 2)[2])  # without its label
    for name in INTERNAL - {"learning-rate", "noise-level"}:
        assert name not in text.replace("fig-" + name, ""), name
    plainly = (
        r"\balpha\b|\bsigma\b|sqrt\(|\|\||FE_|FCN\[|K = \d|\bK \d|\bl1\b|\bz_dim|\bh_dim|\b1e-"
    )
    assert not re.search(plainly, text), re.search(plainly, text)
    assert text.count("$") == 0 and "\\" not in text.replace("\\|", "")


@pytest.mark.parametrize("box", ALL.values(), ids=ALL)
def test_a_box_says_what_its_number_is_and_what_it_had_to_be(box):
    c = box.claim
    assert c.number in box.summary() and c.unit
    if box.asked:
        assert f"the rule asks for {box.asked}" in box.summary()
    else:
        assert c.bound == (None, None)
    assert c.rule in box.details() and box.counts in box.details()
    decided = box.verdict.outcome != claim.INCONCLUSIVE
    assert bool(re.search(r"p [=<] |refuted by one seed", box.counts)) == decided


def test_the_table_says_what_each_number_is_and_its_bound():
    lines = Companion().claims_table()._repr_markdown_().splitlines()
    head = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert head.index("Number") < head.index("Had to be")
    for box, line in zip(BOXES.values(), lines[2:], strict=True):
        assert line.count("|") == lines[0].count("|"), box.claim.id
        assert box.claim.number.split("$")[0] in line and (box.asked or "see the box") in line


def test_formulas_are_words_in_a_terminal():
    assert plain(r"*the* $\alpha\sqrt{\pi/2}$, $10^{-4}$, $1.5\,K$, FE$_x$") == (
        "the alphasqrt(pi/2), 10^-4, 1.5 K, FE_x"
    )
    for box in BOXES.values():
        assert not re.search(r"[$\\]", str(box)), box.claim.id


def test_a_verdict_that_does_not_stand_the_correction_is_named():
    stands = dataclasses.replace(BOXES["C38"], corrected=0.01)
    falls = dataclasses.replace(BOXES["C02"], corrected=0.4)
    unsure = dataclasses.replace(BOXES["C12"], corrected=1.0)
    told = Correction((stands, falls, unsure))
    assert [box.claim.id for box in told.fallen] == ["C02"]
    assert "Of 3 verdicts 1 are inconclusive" in repr(told) and "C02" in repr(told)
    assert "stands beside" in stands.counts and "does not stand" in falls.counts
    assert "nothing is shown" in unsure.counts
    assert BOXES["C18"].verdict.p == 0 and "refuted by one seed" in BOXES["C18"].counts


def test_the_correction_is_over_all_claims_of_the_family():
    from thesis.evidence import holm

    expected = holm({id: box.verdict.p for id, box in BOXES.items()})
    assert {id: box.corrected for id, box in BOXES.items()} == expected
    assert Companion().verdict("C27", first_seed=2).corrected is None


# --- the small picture ----------------------------------------------------------------------------


def places(svg, kind, name):
    return [float(x) for x in re.findall(rf'<{kind}[^>]*?\b{name}="([\d.]+)"', svg)]


def test_dots_lie_where_their_numbers_are():
    number = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    svg = strip({"": number}, (2.0, None), "five seeds")
    dots = places(svg, "circle", "cx")
    steps = [b - a for a, b in itertools.pairwise(dots)]
    assert len(dots) == 5 and max(steps) - min(steps) < 0.11, "linear"
    (inside,) = places(svg, 'rect class="claim-plot-inside"', "x")
    assert inside == pytest.approx(dots[1], abs=0.06), "the bound is at the seed with its value"
    assert 'aria-label="five seeds"' in svg and "\n" not in svg


def test_the_axis_is_logarithmic_where_numbers_differ_much():
    number = Estimate(100.0, 10.0, 1000.0, 3, (10.0, 100.0, 1000.0))
    dots = places(strip({"": number}, (1.0, None), "x"), "circle", "cx")
    assert dots[1] - dots[0] == pytest.approx(dots[2] - dots[1], abs=0.11)


def test_every_part_has_a_row_and_odd_numbers_are_drawn():
    one = Estimate(0.0, 0.0, 0.0, 2, (0.0, 0.0))
    svg = strip({"a & b": one, "c": one}, (None, None), 'say "x"')
    assert "a &amp; b" in svg and "&quot;x&quot;" in svg and len(places(svg, "circle", "cx")) == 4
    assert "nan" not in svg and "inf" not in svg


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_every_box_has_its_picture_within_its_frame(box):
    svg = box.plot
    shown = sum(
        len(each.values) for each in (box.verdict.parts or {"": box.verdict.number}).values()
    )
    dots = places(svg, "circle", "cx")
    assert len(dots) == shown and min(dots) >= 0 and max(dots) <= 360
    bounds = [b for b in box.bound if b is not None]
    assert svg.count("claim-plot-bound") == len(bounds)


def test_an_untestable_claim_has_a_box_without_number():
    verdict = claim.Verdict(claim.NOT_TESTABLE, None, "Nothing was measured.", "it needs two seeds")
    box = VerdictBox(claims.get("C14"), verdict)
    assert "It needs two seeds." in box.summary() and box.plot == ""
    assert "–" in str(box)
    assert box.counts == "Nothing was tested, so nothing is shown."
    assert "Of 1 verdicts 0 are inconclusive by their own interval, and 0 stand" in repr(
        Correction((box,))
    )


def test_what_more_seeds_cost_is_listed_for_every_open_verdict():
    found = Companion().more_seeds()
    open_ = {id for id, box in BOXES.items() if box.verdict.outcome == claim.INCONCLUSIVE}
    assert {box.claim.id for _, boxes, _, _ in found.rows for box in boxes} == open_
    alone = [minutes for *_, minutes in found.rows]
    assert max(alone) < found.total < sum(alone), "studies share trainings"
    # mouse1: 512 chains of 256 steps for 1500 updates, at forty million steps a minute
    (tail,) = (minutes for studies, *_, minutes in found.rows if studies == ("tail",))
    assert tail == pytest.approx(5 * 512 * 256 * 1500 / 40e6)
