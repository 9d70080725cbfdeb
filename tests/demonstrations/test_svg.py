"""SVG files to polylines and back, and resampling along them."""

import json
from pathlib import Path

import numpy as np
import pytest
from demonstrations.drawings import DRAWINGS, HERE, INK, REFUSED, USES, content
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ebmlib.demonstrations.polyline import MAX_COORDINATE, resample, step_lengths
from ebmlib.demonstrations.svg import clips, document, read_drawing, read_svg, reading, write_svg
from ebmlib.demonstrations.svg.pathdata import CURVE_POINTS
from ebmlib.errors import InputError

KNOWN = json.loads((Path(__file__).parent / "drawings.json").read_text())

settings.register_profile("unhurried", deadline=None)  # another run may share the cores
settings.load_profile("unhurried")

HEAD = '<svg xmlns="http://www.w3.org/2000/svg">'
coordinates = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def polylines(draw: st.DrawFn, dim: int | None = None, max_points: int = 12) -> np.ndarray:
    """Polylines with a length well above rounding, repeated points included."""
    d = draw(st.integers(1, 4)) if dim is None else dim
    n = draw(st.integers(2, max_points))
    points = draw(arrays(np.float64, (n, d), elements=st.floats(-1e3, 1e3).map(lambda x: x + 0.0)))
    if draw(st.booleans()):
        points = np.repeat(points, draw(st.integers(1, 2)), axis=0)
    assume(step_lengths(points).sum() > 1e-3)
    return points


def drawing(tmp_path: Path, body: str, head: str = HEAD) -> Path:
    path = tmp_path / "drawing.svg"
    path.write_text(f"{head}{body}</svg>", encoding="utf-8")
    return path


def only_stroke(tmp_path: Path, body: str) -> np.ndarray:
    (stroke,) = read_svg(drawing(tmp_path, body)).strokes
    return stroke


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<path d="M1 2 L3 4 5 0"/>', [[1, -2], [3, -4], [5, 0]]),
        ('<path d="m1 2 l2 2 h2 v-4"/>', [[1, -2], [3, -4], [5, -4], [5, 0]]),
        ('<path d="M0 0L1 1L1 1L2 0"/>', [[0, 0], [1, -1], [1, -1], [2, 0]]),
        ('<path d="M0 0 L1 0 L1 1 z"/>', [[0, 0], [1, 0], [1, -1], [0, 0]]),
        ('<path d="M0,0L1.5e1-.5"/>', [[0, 0], [15, 0.5]]),
        ('<path d="M0 0 A 0 5 0 0 1 3 4"/>', [[0, 0], [3, -4]]),
        ('<polyline points="0,0 1-1 2,0"/>', [[0, 0], [1, 1], [2, 0]]),
        ('<polyline points="0,0 1-1 2,0 0,0"/>', [[0, 0], [1, 1], [2, 0], [0, 0]]),
        ('<polygon points="0 0 1 0 1 1"/>', [[0, 0], [1, 0], [1, -1], [0, 0]]),
        ('<polygon points="0 0 1 0 1 1 0 0"/>', [[0, 0], [1, 0], [1, -1], [0, 0]]),
        ('<line x1="1" y1="2" x2="3"/>', [[1, -2], [3, 0]]),
        ('<rect x="1" width="2" height="3"/>', [[1, 0], [3, 0], [3, -3], [1, -3], [1, 0]]),
    ],
)
def test_straight_shapes_keep_their_vertices_and_up_is_up(tmp_path, body, expected):
    np.testing.assert_array_equal(only_stroke(tmp_path, body), expected)


def test_a_circle_is_a_closed_circle(tmp_path):
    points = only_stroke(tmp_path, '<circle cx="3" cy="4" r="2"/>')
    np.testing.assert_allclose(np.linalg.norm(points - [3, -4], axis=1), 2, atol=1e-12)
    np.testing.assert_allclose(points[-1], points[0], atol=1e-12)
    # n chords of a full circle are (pi / n)^2 / 6 of its length too short.
    assert step_lengths(points).sum() == pytest.approx(4 * np.pi, rel=1e-5)


def test_curves_end_exactly_where_they_say(tmp_path):
    points = only_stroke(tmp_path, '<path d="M 1 1 A 5 3 20 0 1 4 2 A 7 7 0 1 0 1 1"/>')
    np.testing.assert_array_equal(points[[0, CURVE_POINTS, -1]], [[1, -1], [4, -2], [1, -1]])


def test_a_bezier_curve_is_on_its_polynomial(tmp_path):
    points = only_stroke(tmp_path, '<path d="M0 0 C 1 2 3 -4 5 6"/>')
    t = np.linspace(0, 1, CURVE_POINTS + 1)[:, None]
    a, b, c, d = np.array([[0, 0], [1, -2], [3, 4], [5, -6.0]])
    exact = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    np.testing.assert_allclose(points, exact, atol=1e-12)


@pytest.mark.parametrize("sweep", [0, 1])
@pytest.mark.parametrize("radius", [0.6, 3.0, 1e2, 1e4, 1e6, 1e8])
def test_an_arc_over_a_chord_has_the_length_and_height_of_its_angle(tmp_path, radius, sweep):
    """Over a chord c the minor arc has the length 2 R asin(c / 2 R) and the height R (1 - cos)."""
    body = f'<path d="M1 1 A {radius} {radius} 0 0 {sweep} 2 1" {INK}/>'
    points = only_stroke(tmp_path, body)
    half = np.arcsin(0.5 / radius)
    assert step_lengths(points).sum() == pytest.approx(2 * radius * half, rel=1e-5)
    height = 2 * radius * np.sin(half / 2) ** 2
    over = points[:, 1] + 1  # clockwise on the screen: over the chord
    found = over.max() if sweep else -over.min()
    np.testing.assert_allclose(found, height, rtol=1e-4, atol=1e-8 + 2e-16 * radius)


@pytest.mark.parametrize("name", DRAWINGS | USES)
def test_drawings_are_read_as_they_were_when_chromium_was_asked(tmp_path, name):
    """``drawings.json`` holds what was read when ``test_svg_browser.py`` found it to be right."""
    path = tmp_path / "drawing.svg"
    path.write_text(content((DRAWINGS | USES)[name]), encoding="utf-8")
    strokes, times, elements, _ = read_drawing(path)
    assert times == (None,) * len(strokes)
    known = KNOWN[name]
    assert list(elements) == [stroke["element"] for stroke in known]
    for points, stroke in zip(strokes, known, strict=True):
        some = [
            points[0],
            points[len(points) // 2],
            points[-1],
            points.min(axis=0),
            points.max(axis=0),
        ]
        np.testing.assert_allclose(some, stroke["points"], atol=2e-3)
        assert step_lengths(points).sum() == pytest.approx(stroke["length"], rel=1e-4)


def test_what_is_left_out_is_said(tmp_path):
    body = f"{HERE}<rect width='9' height='9'/><g display='none'>{HERE}</g>"
    body += f"<text>a</text><path d='' {INK}/>"
    notes = read_drawing(drawing(tmp_path, body)).notes
    assert notes == ("left out: 1 empty, 1 filled without a stroke, 1 hidden, 1 text",)
    bare = read_drawing(drawing(tmp_path, '<line x2="1"/><path d="M0 0 L2 2"/>'))
    assert bare.elements == ("line", "path") and "shows nothing" in bare.notes[0]
    with pytest.raises(InputError, match="2 not painted"):  # as soon as paint is spoken of
        read_svg(drawing(tmp_path, '<g fill="red"><line x2="1"/><path d="M0 0 L2 2"/></g>'))
    elsewhere = f"<style>@import url(a.css);</style>{HERE}"
    assert "@import" in read_drawing(drawing(tmp_path, elsewhere)).notes[0]


CLIP = '<clipPath id="c"><rect width="2" height="9"/></clipPath>'


def test_a_stroke_is_cut_where_its_clip_path_ends(tmp_path):
    body = (
        f'{CLIP}<g clip-path="url(#c)" fill="none" stroke="red" stroke-width="0.01">'
        '<path d="M1 1 H3 V2 H0.5" data-t="0 2 4 9"/></g>'
    )
    strokes, times, elements, notes = read_drawing(drawing(tmp_path, body))
    assert elements == ("path", "path")
    assert notes == ("2 of them cut off by a clip path or a mask",)
    np.testing.assert_allclose(strokes[0], [[1, -1], [2, -1]], atol=1e-12)
    np.testing.assert_allclose(strokes[1], [[2, -2], [0.5, -2]], atol=1e-12)
    np.testing.assert_allclose(times[0], [0, 1])
    np.testing.assert_allclose(times[1], [6, 9])


@pytest.mark.parametrize(("width", "n"), [("0.2", 1), ("0.01", 3)])
def test_a_line_that_overhangs_by_less_than_half_its_width_is_whole(tmp_path, width, n):
    line = f'<path d="M0.1 1 L2.05 2 L2.05 3 L0.1 4 L2.05 5 L 0.1 6" stroke-width="{width}"/>'
    body = f'{CLIP}<g clip-path="url(#c)" fill="none" stroke="red">{line}</g>'
    assert len(read_drawing(drawing(tmp_path, body)).strokes) == n


def test_a_circle_cuts_a_line_where_the_circle_is(tmp_path):
    circle = '<clipPath id="c"><circle r="5"/></clipPath>'
    line = '<path d="M-9 3 H9" fill="none" stroke="red" stroke-width="1e-3" clip-path="url(#c)"/>'
    stroke = only_stroke(tmp_path, circle + line)
    np.testing.assert_allclose(stroke, [[-4, -3], [4, -3]], atol=1e-3)


@given(
    points=polylines(dim=2, max_points=30),
    low=st.floats(-900, 900),
    width=st.floats(1, 900),
    height=st.floats(1, 900),
)
def test_pieces_lie_within_their_rectangle_and_are_as_long_as_what_is_within(
    points, low, width, height
):
    region = clips.rectangle(np.eye(3), low, -low, width, height)
    spans = clips.kept(points, [region], 1e-9)
    pieces = [clips.piece(points, *span) for span in spans]
    fine = clips.at(points, np.linspace(0, len(points) - 1, 20_001))
    middles = (fine[1:] + fine[:-1]) / 2
    edge = 1e-9  # what lies on the edge is within
    within = middles >= (low - edge, -low - edge)
    within &= middles <= (low + width + edge, height - low + edge)
    expected = step_lengths(fine)[within.all(axis=1)].sum()
    assert abs(sum(step_lengths(piece).sum() for piece in pieces) - expected) <= max(
        0.004 * step_lengths(points).sum(), 1e-6
    )
    if spans != [(0.0, len(points) - 1.0)]:
        for piece in pieces:
            assert (piece >= np.array([low, -low]) - 1e-6).all()
            assert (piece <= np.array([low + width, height - low]) + 1e-6).all()


def test_strokes_outside_the_page_are_counted(tmp_path):
    def notes(line):
        file = tmp_path / "page.svg"
        root = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-5 10 20 30">'
        file.write_text(f"{root}<path {INK} d='M0 20 L 5 20'/><path {INK} d='{line}'/></svg>")
        return read_drawing(file).notes

    for line in ("M-9 20 L-6 25", "M16 20 L18 25", "M0 0 L5 9", "M0 41 L5 45"):
        assert notes(line) == ("1 of them outside the page, where a browser shows nothing",)
    for line in ("M-9 20 L-4 25", "M14 20 L18 25", "M0 0 L5 11", "M0 39 L5 45", "M-9 -9 L99 99"):
        assert notes(line) == ()


def test_a_shape_that_is_only_filled_counts_where_nothing_is_stroked(tmp_path):
    filled, stroked = '<rect width="9" height="9"/>', f'<rect width="7" height="9" {INK}/>'
    assert len(read_svg(drawing(tmp_path, filled + filled)).strokes) == 2
    assert only_stroke(tmp_path, filled + stroked).max() == 7


def test_a_smooth_curve_mirrors_the_control_point_before_it(tmp_path):
    smooth = only_stroke(tmp_path, '<path d="M0 0 C 1 2 3 4 5 5 s 1 2 4 4"/>')
    spelt = only_stroke(tmp_path, '<path d="M0 0 C 1 2 3 4 5 5 C 7 6 6 7 9 9"/>')
    np.testing.assert_allclose(smooth, spelt, atol=1e-12)


TRANSFORMS = {
    "translate(3 -2)": [[1, 0, 3], [0, 1, -2]],
    "scale(2)": [[2, 0, 0], [0, 2, 0]],
    "scale(-1 1)": [[-1, 0, 0], [0, 1, 0]],
    "rotate(90)": [[0, -1, 0], [1, 0, 0]],
    "rotate(90 1 1)": [[0, -1, 2], [1, 0, 0]],
    "skewX(45)": [[1, 1, 0], [0, 1, 0]],
    "matrix(0 1 1 0 0 0)": [[0, 1, 0], [1, 0, 0]],
    "translate(3 -2) scale(2 1)": [[2, 0, 3], [0, 1, -2]],
}
SHAPES = [
    '<path d="M0 0 L4 1 L7 5" {}/>',
    '<path d="M0 0 C 1 2 3 -4 5 6 Q 8 8 9 0" {}/>',
    '<path d="M0 0 A 5 2 30 1 0 3 1" {}/>',
    '<path d="M0 0 A 5 2 30 0 1 3 1" {}/>',
    '<ellipse cx="3" cy="1" rx="2" ry="1" {}/>',
    '<circle cx="3" r="2" {}/>',
    '<rect x="1" width="4" height="3" rx="1" {}/>',
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_moves_every_point_as_its_matrix_says(tmp_path, shape, transform):
    plain = only_stroke(tmp_path, shape.format("")) * (1, -1)
    moved = only_stroke(tmp_path, shape.format(f'transform="{transform}"')) * (1, -1)
    matrix = np.array(TRANSFORMS[transform])
    np.testing.assert_allclose(moved, plain @ matrix[:, :2].T + matrix[:, 2], atol=1e-12)


def test_a_rotated_arc_lies_on_its_ellipse(tmp_path):
    body = '<path d="M0 0 A 5 2 30 1 0 3 1" transform="scale(1 3)"/>'
    x, y = (only_stroke(tmp_path, body) * (1, -1 / 3)).T
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    u, v = (c * x + s * y) / 5, (-s * x + c * y) / 2  # a circle of radius 1 somewhere
    system = np.stack([u, v, np.ones_like(u)], axis=1)
    (a, b, constant), residual, *_ = np.linalg.lstsq(system, u**2 + v**2, rcond=None)
    assert residual < 1e-20
    assert np.sqrt(constant + a**2 / 4 + b**2 / 4) == pytest.approx(1)


def test_groups_nest_their_transforms_and_order_is_that_of_the_document(tmp_path):
    body = """
      <line x2="1"/><!-- a comment -->
      <g transform="translate(10)"><circle cx="1" r="1"/>
        <g transform="scale(2)"><path d="M0 0 L1 0"/></g><line x2="3"/></g>
      <path d="M0 0 L4 0"/>"""
    body = f"<g stroke='red'>{body}</g>"
    starts = [stroke[0].tolist() for stroke in read_svg(drawing(tmp_path, body)).strokes]
    ends = [stroke[-1].tolist() for stroke in read_svg(drawing(tmp_path, body)).strokes]
    assert starts == [[0, 0], [12, 0], [10, 0], [10, 0], [0, 0]]
    assert ends == [[1, 0], [12, 0], [12, 0], [13, 0], [4, 0]]


def test_every_moveto_starts_a_stroke(tmp_path):
    body = '<path d="M0 0 L1 0 M1 0 L2 0 m1 1 l1 0 z m 5 0 l 1 1" data-t="0 1 2 3 4 5 6 7 8"/>'
    strokes, times = read_svg(drawing(tmp_path, body))
    expected = [[[0, 0], [1, 0]], [[1, 0], [2, 0]], [[3, -1], [4, -1], [3, -1]], [[8, -1], [9, -2]]]
    assert [stroke.tolist() for stroke in strokes] == expected
    assert [stamp.tolist() for stamp in times] == [[0, 1], [2, 3], [4, 5, 6], [7, 8]]


def test_what_is_not_drawn_is_not_read(tmp_path):
    body = """<defs><path d="M0 0 L9 9"/></defs><g display="none"><path d="M0 0 L9 9"/></g>
      <path d="M0 0 L9 9" style="fill:none; display: none"/><path d=""/><text>words</text>
      <path d="M0 0 L1 1"/>"""
    assert only_stroke(tmp_path, body).tolist() == [[0, 0], [1, -1]]


def test_a_file_without_namespace_or_with_a_plain_doctype_is_read(tmp_path):
    doctype = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
        '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    )
    for head in ("<svg>", doctype + HEAD):
        assert len(read_svg(drawing(tmp_path, '<line x2="1"/>', head)).strokes) == 1


ENTITY = "<!DOCTYPE svg [<!ENTITY x {}>]>"
BAD_FILES = {
    "empty": ("", "is empty"),
    "malformed": (HEAD + "<path", "not well-formed XML"),
    "text": ("M 0 0 L 1 1", "not well-formed XML"),
    "html": ("<html><path d='M0 0L1 1'/></html>", "not an SVG"),
    "encoding": ('<?xml version="1.0" encoding="nonsense"?>' + HEAD + "</svg>", "not well-formed"),
    "without shapes": (HEAD + "</svg>", "has no paths"),
    "only text": (HEAD + "<text>a</text></svg>", "has no paths"),
    "entity": (ENTITY.format('"y"') + HEAD + '<path d="M0 0L1 1"/></svg>', "entities"),
    "file entity": (
        ENTITY.format('SYSTEM "file:///etc/hostname"') + HEAD + "<text>&x;</text></svg>",
        "entities",
    ),
    "bad transform": (HEAD + '<line x2="1" transform="wobble(3)"/></svg>', "transform"),
    "style transform": (HEAD + '<line x2="1" style="transform: wobble(2)"/></svg>', "wobble"),
    "flat transform": (HEAD + '<line x2="1" transform="scale(0)"/></svg>', "1 without extent"),
    "gzip": (b"\x1f\x8b\x08\x00rest", "compressed with gzip"),
    "LFS pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "UTF-16 with its style elsewhere": (
        ('<?xml version="1.0" encoding="UTF-16"?>' + REFUSED["style from elsewhere"][0]).encode(
            "utf-16"
        ),
        "style from another",
    ),
    "picture": (b"\x89PNG\r\n", "picture of pixels"),
    **{name: (content(body), why) for name, (body, why) in REFUSED.items()},
}
BAD_SHAPES = {
    '<path d="M1 1"/>': "1 empty",
    '<path d="M1 1 L1 1 L1 1"/>': "1 of length zero",
    '<path d="M1e8 1e8 L1e8 1e8 z"/>': "1 of length zero",
    '<path d="M0 0 L nan nan L1 1"/>': "cannot be read",
    '<path d="M0 0 L NaN 1 L1 1"/>': "cannot be read",
    '<path d="M0 0 L inf 1"/>': "cannot be read",
    '<path d="M0 0 L1e999 1"/>': "not finite",
    '<path d="M0 0 L1e200 1e200"/>': "beyond|not finite",
    '<path d="M0 0 L1"/>': "cannot be read",
    '<path d="M0 0 L1.e1 1."/>': "cannot be read",
    '<path d="M0 0 L1 2 3"/>': "cannot be read",
    '<path d="L0 0 L1 1"/>': "cannot be read",
    '<path d="0 0 L1 1"/>': "cannot be read",
    '<path d="M0 0 L1 1; L2 2"/>': "cannot be read",
    '<path d="M0 0 A 1 1 0 0 1 0 0"/>': "1 empty",
    '<path d="M0 0 A 1e-320 1 0 0 1 1 0"/>': "cannot be read|not finite",
    '<polyline points="0 0 1"/>': "cannot be read",
    '<polyline points="0 0 nan 1"/>': "cannot be read",
    '<polyline points="0 0 L 1 1"/>': "cannot be read",
    '<polyline points="3 3"/>': "1 empty",
    '<circle r="nan"/>': "cannot be read",
    '<circle r="0"/>': "1 empty",
    "<circle/>": "1 empty",
    '<circle r="5%"/>': "cannot be read",
    '<rect width="0" height="0"/>': "1 empty",
    '<path d="M0 0 L1 1" data-t="0"/>': "expected 2 time stamps",
    '<path d="M0 0 L1 1" data-t="0 x"/>': "data-t",
    '<path d="M0 0 L1 1" data-t="1 0"/>': "increase",
    '<path d="M0 0 L1 1" data-t="1 1"/>': "increase",
    '<path d="M0 0 L1 1" data-t="0 nan"/>': "increase",
    '<path d="M0 0 C 1 2 3 4 5 5" data-t="0 1"/>': "time stamps",
}


def assert_one_sentence(error: pytest.ExceptionInfo[InputError]) -> None:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 400


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_gets_one_sentence(tmp_path, case):
    written, message = BAD_FILES[case]
    path = tmp_path / "bad.svg"
    path.write_bytes(written if isinstance(written, bytes) else written.encode())
    with pytest.raises(InputError, match=message) as error:
        read_svg(path)
    assert_one_sentence(error)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("body", BAD_SHAPES)
def test_a_bad_shape_gets_one_sentence(tmp_path, body):
    with pytest.raises(InputError, match=BAD_SHAPES[body]) as error:
        read_svg(drawing(tmp_path, body))
    assert_one_sentence(error)


def test_missing_files_folders_and_bytes_are_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_svg(tmp_path / "nothing.svg")
    with pytest.raises(InputError, match="folder"):
        read_svg(tmp_path)
    (tmp_path / "bytes.svg").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="well-formed"):
        read_svg(tmp_path / "bytes.svg")


def test_entities_that_multiply_are_refused_before_they_do(tmp_path):
    lol = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    path = tmp_path / "lol.svg"
    path.write_text(f'<!DOCTYPE svg [<!ENTITY l0 "lol">{lol}]>{HEAD}<text>&l9;</text></svg>')
    with pytest.raises(InputError, match="entities"):
        read_svg(path)


def test_absurd_sizes_are_refused(tmp_path, monkeypatch):
    path = drawing(tmp_path, '<path d="M0 0 C 1 2 3 4 5 5"/>' * 3)
    monkeypatch.setattr(reading, "MAX_VERTICES", 2 * (CURVE_POINTS + 1))
    with pytest.raises(InputError, match=r"shape 3 .* more than"):
        read_svg(path)
    monkeypatch.setattr(document, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="bytes"):
        read_svg(path)


def test_deep_nesting_is_read(tmp_path):
    body = "<g>" * 5000 + '<line x2="1"/>' + "</g>" * 5000
    assert len(read_svg(drawing(tmp_path, body)).strokes) == 1


# --- writing -----------------------------------------------------------------------------------


@given(
    strokes=st.lists(polylines(dim=2), min_size=1, max_size=4),
    start=st.floats(-1e9, 1e9),
    data=st.data(),
)
def test_reading_gives_back_exactly_what_was_written(tmp_path_factory, strokes, start, data):
    times = []
    for stroke in strokes:
        gaps = data.draw(arrays(np.float64, len(stroke) - 1, elements=st.floats(1e-3, 1e3)))
        clock = start + np.concatenate([[0], np.cumsum(gaps)])
        times.append(data.draw(st.sampled_from([None, clock])))
    path = tmp_path_factory.mktemp("svg") / "x.svg"
    write_svg(path, strokes, times, title="a < b & c", description='"quoted"')
    back = read_svg(path)
    for stroke, again in zip(strokes, back.strokes, strict=True):
        np.testing.assert_array_equal(again, stroke)
    for stamp, again in zip(times, back.times, strict=True):
        assert (stamp is None) == (again is None)
        if stamp is not None:
            np.testing.assert_array_equal(again, stamp)


@given(stroke=polylines(dim=2), decimals=st.integers(0, 6))
def test_decimals_round_and_nothing_else(tmp_path_factory, stroke, decimals):
    rounded = np.round(stroke, decimals)
    assume(step_lengths(rounded).sum() > 0)
    path = tmp_path_factory.mktemp("svg") / "x.svg"
    write_svg(path, [stroke], decimals=decimals)
    np.testing.assert_array_equal(read_svg(path).strokes[0], rounded)


def test_writing_replaces_the_file_whole_or_leaves_it(tmp_path):
    path = tmp_path / "x.svg"
    write_svg(path, [[[0, 0], [1, 1]]])
    before = path.read_bytes()
    for bad in ([], [[[0, 0]]], [[[0, 0], [np.nan, 1]]], [np.zeros((3, 3)) + np.eye(3)]):
        with pytest.raises(InputError):
            write_svg(path, bad)
    with pytest.raises(InputError, match="expected 2 time stamps"):
        write_svg(path, [[[0, 0], [1, 1]]], [[0.0]])
    with pytest.raises(InputError, match="1 lists of time stamps, got 2"):
        write_svg(path, [[[0, 0], [1, 1]]], [None, None])
    with pytest.raises(InputError, match="cannot be written"):
        write_svg(tmp_path / "no" / "x.svg", [[[0, 0], [1, 1]]])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- resampling --------------------------------------------------------------------------------


def distance_to_polyline(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Smallest distance of each point to the segments between vertices."""
    start, step = vertices[:-1], np.diff(vertices, axis=0)
    square = np.maximum((step**2).sum(1), 1e-300)
    t = np.clip(((points[:, None] - start) * step).sum(-1) / square, 0, 1)
    return np.linalg.norm(points[:, None] - start - t[..., None] * step, axis=-1).min(axis=1)


@given(points=polylines(), n_steps=st.integers(1, 50))
def test_arc_length_resampling_stays_on_the_line_at_equal_distances(points, n_steps):
    result = resample(points, n_steps)
    scale = np.abs(points).max()
    assert result.shape == (n_steps + 1, points.shape[1])
    np.testing.assert_array_equal(result[[0, -1]], points[[0, -1]])
    assert distance_to_polyline(result, points).max() <= 1e-9 * scale
    # A chord is never longer than the piece of line it spans.
    total = step_lengths(points).sum()
    assert step_lengths(result).max() <= total / n_steps * (1 + 1e-9) + 1e-9 * scale


@given(d=st.integers(1, 4), n_steps=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_straight_line_is_cut_into_equal_steps_and_keeps_its_length(d, n_steps, seed):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=d)
    points = np.sort(rng.uniform(size=7))[:, None] * direction
    steps = step_lengths(resample(points, n_steps))
    np.testing.assert_allclose(steps, step_lengths(points).sum() / n_steps, rtol=1e-9, atol=1e-12)


def test_a_fine_resampling_keeps_the_length_of_a_bent_line():
    points = np.random.default_rng(0).normal(size=(20, 3))
    length = step_lengths(points).sum()
    assert step_lengths(resample(points, 20_000)).sum() == pytest.approx(length, rel=1e-3)


def test_the_start_is_kept_also_where_the_first_step_is_below_rounding():
    points = [[0.0], [1e-255], [1.0]]
    np.testing.assert_array_equal(resample(points, 2), [[0], [0.5], [1]])


def test_time_resampling_follows_the_clock():
    points = np.array([[0.0, 0], [1, 0], [1, 2]])
    by_time = resample(points, 4, "time", times=[10, 11, 14])
    np.testing.assert_allclose(by_time, [[0, 0], [1, 0], [1, 2 / 3], [1, 4 / 3], [1, 2]])
    by_event = resample(points, 4, "time")
    np.testing.assert_allclose(by_event, [[0, 0], [0.5, 0], [1, 0], [1, 1], [1, 2]])


@given(points=polylines(), seed=st.integers(0, 99))
def test_resampling_at_the_events_themselves_changes_nothing(points, seed):
    np.testing.assert_allclose(resample(points, len(points) - 1, "time"), points, atol=1e-9)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros(3), {}, "shape"),
        (np.zeros((3, 0)), {}, "shape"),
        (np.zeros((3, 2)), {}, "length zero"),
        ([[0.0, 0]], {}, "at least two"),
        ([[0, 0], [np.inf, 0]], {}, "finite"),
        ([[0, 0], [2 * MAX_COORDINATE, 0]], {}, "beyond"),
        ([[0, 0], [1]], {}, "array of real numbers"),
        ([["a", "b"], ["c", "d"]], {}, "array of real numbers"),
        ([[0, 0], [1j, 0]], {}, "array of real numbers"),
        ([[0, 0], [1, 1]], {"n_steps": 0}, "n_steps"),
        ([[0, 0], [1, 1]], {"n_steps": 2.0}, "n_steps"),
        ([[0, 0], [1, 1]], {"by": "speed"}, "by must be"),
        ([[0, 0], [1, 1]], {"by": "time", "times": [0, 1, 2]}, "expected 2 time stamps"),
        ([[0, 0], [1, 1]], {"by": "time", "times": [1, 1]}, "increase"),
    ],
)
def test_resampling_refuses_what_has_no_length_or_clock(points, options, message):
    with pytest.raises(InputError, match=message) as error:
        resample(points, **{"n_steps": 5, **options})
    assert_one_sentence(error)
