"""Recordings: which layouts are read how, and that damage and hostility get one sentence."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from ebmlib.demonstrations import archives
from ebmlib.demonstrations.dataset import DemonstrationConfig, Demonstrations, load_demonstrations
from ebmlib.demonstrations.recordings import Recording, Source, read_recording
from ebmlib.demonstrations.svg import write_svg
from ebmlib.errors import InputError, InputWarning

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "recordings"
T = np.linspace(0, 1, 40)
CURVE = np.stack([T, T**2], axis=1)  # (40, 2)
STACK = np.stack([CURVE, 2 * CURVE, 3 * CURVE])  # (3, 40, 2)


def same(recording: Recording, *arrays: np.ndarray) -> None:
    assert len(recording.positions) == len(recording.times) == len(recording.sources) == len(arrays)
    for points, exact in zip(recording.positions, arrays, strict=True):
        np.testing.assert_array_equal(points, exact)


def one_sentence(error: pytest.ExceptionInfo[InputError]) -> None:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 500 and "pickle" not in text


# --- tables -------------------------------------------------------------------------------------


def table(tmp_path: Path, text: str, **choice: Any) -> Recording:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    return read_recording(tmp_path / "a.csv", **choice)


TABLES = {
    "index without a name": (",demo,x,y\n0,a,5,7\n1,a,6,8\n2,a,7,7\n", {}, "counts the rows"),
    "index from 1, at the end": ("demo,x,y,\na,5,7,1\na,6,8,2\na,7,7,3\n", {}, "counts the rows"),
    "index of pandas": ("Unnamed: 0,demo,x,y\n0,a,5,7\n1,a,6,8\n2,a,7,7\n", {}, "Unnamed: 0"),
    "a column index": ("index,demo,x,y\n4,a,5,7\n5,a,6,8\n6,a,7,7\n", {}, "column index"),
    "pen": (
        "demo,x,y,pressure,button\na,5,7,.5,1\na,6,8,.5,1\na,7,7,0,0\n", {}, "pressure, button"),
    "time": ("demo,time,x,y\na,0,5,7\na,1,6,8\na,2.5,7,7\n", {}, "time is the time"),
    "capitals": ("Demo,T,X,Y\na,0,5,7\na,1,6,8\na,2.5,7,7\n", {}, ""),
    "a counter by its name": (
        "demo,frame,id,x,y\na,1,9,5,7\na,2,9,6,8\na,3,9,7,7\n", {}, "frame, id"),
    "two indexes of pandas": (
        "Unnamed: 0.1,Unnamed: 0,demo,x,y\n0,0,a,5,7\n1,1,a,6,8\n2,2,a,7,7\n", {}, "Unnamed: 0.1"),
    "units": (
        "demo,time (s),x [mm],y (mm),Pressure (N)\na,0,5,7,1\na,1,6,8,1\na,2.5,7,7,1\n", {},
        "not used: Pressure (N)"),
    "two clocks": (
        "demo,t,time_us,x,y\na,0,9,5,7\na,1,9,6,8\na,2.5,9,7,7\n", {}, "not used: time_us"),
    "derived in any place": (
        "demo,x,y,vel_x,x_acc,left_button\na,5,7,1,1,1\na,6,8,1,1,1\na,7,7,1,1,1\n", {},
        "vel_x, x_acc, left_button"),
    "chosen with its unit": (
        "demo,x [m],y [m],z [m]\na,5,7,0\na,6,8,0\na,7,7,0\n", {"columns": ["x", "y [m]"]}, ""),
    "semicolons": ("demo;x;y\na;5;7\na;6;8\na;7;7\n", {}, ""),
    "tabs": ("demo\tx\ty\na\t5\t7\na\t6\t8\na\t7\t7\n", {}, ""),
    "byte order mark": ("\ufeffdemo,x,y\na,5,7\na,6,8\na,7,7\n", {}, ""),
    "quotes and blank lines": ('"demo","x","y"\n\n"a","5","7"\na, 6 ,8\n\na,7,7\n', {}, ""),
    "chosen": ("id,lat,x,y\n1,9,5,7\n1,9,6,8\n1,9,7,7\n", {"columns": ["x", "y"]}, ""),
    "chosen with time": (
        "s,y,x\n0,7,5\n1,8,6\n2.5,7,7\n", {"columns": ("x", "y"), "time": "s"}, ""),
    "chosen against a name": (
        "demo,pressure,button,y\na,5,7,0\na,6,8,0\na,7,7,0\n", {"columns": ["pressure", "button"]},
        ""),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables_of_many_kinds_hold_one_demonstration(tmp_path: Path, case: str) -> None:
    text, choice, note = TABLES[case]
    recording = table(tmp_path, text, **choice)
    same(recording, np.array([[5.0, 7], [6, 8], [7, 7]]))
    assert note in "; ".join(recording.notes)
    assert (recording.times[0] is not None) == (
        case in ("time", "capitals", "chosen with time", "units", "two clocks")
    )
    if recording.times[0] is not None:
        np.testing.assert_array_equal(recording.times[0], [0, 1, 2.5])


def test_labels_that_differ_by_blanks_are_one_demonstration_and_said(tmp_path: Path) -> None:
    # blanks of every kind: around, within, and without a width
    recording = table(tmp_path, "demo,x,y\na,0,0\nb c,5,5\na\u00a0,1,1\nb\u200b  c,6,6\n")
    same(recording, np.array([[0.0, 0], [1, 1]]), np.array([[5.0, 5], [6, 6]]))
    assert "differ by blanks" in recording.notes[0]
    with pytest.warns(InputWarning, match="blanks"):
        Demonstrations.from_recording(recording)


BAD_TABLES = {
    "demo,x,y\na,0,0\na,1,o\n": "line 3, column y: expected a number, got 'o'",
    "demo,x,y\na,0,\na,1,1\n": "line 2, column y: expected a number, got ''",
    "demo,x,y\na,0,NaN\na,1,1\n": "line 2, column y: expected a finite number",
    "demo,x,y\na,0,-inf\na,1,1\n": "line 2, column y: expected a finite number",
    "demo,x,y\na,0,1e999\na,1,1\n": "line 2, column y",
    "demo,x,y\na,0,1_0\na,1,1\n": "line 2, column y",
    "demo;x;y\na;0;1,5\na;1;1\n": "line 2, column y.* with a point",
    "demo,x,y\na,0,１\na,1,1\n": "line 2, column y",
    "demo,x,y\na,0,0x1\na,1,1\n": "line 2, column y",
    "demo,x,y\na,0,1\n\na,1\n": "line 4 has 2 columns, the header has 3",
    "demo,x,y\na,0,1,2\n": "line 2 has 4 columns",
    "demo,t,x,y\na,then,0,1\n": "line 2, column t",
    ",demo,x,y\n0.1,a,0,1\n0.7,a,1,1\n": "does not count the rows",
    "demo,x,,\na,0,1,2\n": "a name for each coordinate|header",
    "x,y\n0,0\n1,1\n": "header",
    "demo,pressure\na,0\n": "header",
    'demo,x,y\na,"0,1\n': "table of numbers",
    "demo,x,y\na,0\x00,1\n": "table of numbers",
}


@pytest.mark.parametrize("text", BAD_TABLES)
def test_a_number_that_cannot_be_read_has_its_line_and_column(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=BAD_TABLES[text]) as error:
        table(tmp_path, text)
    one_sentence(error)
    assert "a.csv" in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_what_spreadsheets_write_as_text_is_read(tmp_path: Path, encoding: str) -> None:
    text = "demo\tx\ty\r\nä\t5\t7\r\nä\t6\t8\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    same(read_recording(tmp_path / "a.csv"), np.array([[5.0, 7], [6, 8]]))


@pytest.mark.parametrize(
    ("content", "message"),
    [("demo,x,y\nä,0,0\n".encode("cp1252"), "not text in UTF-8"), (b"PK\3\4 a.xlsx", "workbook")],
)
def test_tables_in_another_coding_are_told_how_to_be_saved(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_recording(tmp_path / "a.csv")
    one_sentence(error)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"columns": ["x", "q"]}, "no column 'q'; it has demo, x, y"),
        ({"columns": ["x", "x"]}, "different"),
        ({"columns": ["demo"]}, "different"),
        ({"columns": []}, "different"),
        ({"time": "when"}, "no column 'when'"),
    ],
)
def test_columns_that_are_not_there_are_named(
    tmp_path: Path, choice: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        table(tmp_path, "demo,x,y\na,0,0\na,1,1\n", **choice)
    one_sentence(error)


def test_a_source_says_which_columns_are_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("s,y,x\n0,7,5\n1,8,6\n2.5,7,7\n")
    source = Source(str(path), ("x", "y"), "s")
    assert Source.parse(str(source)) == source
    assert Source.parse("a#b.csv") == Source("a#b.csv")
    config = DemonstrationConfig(str(source), steps=None, sigma=0, repetitions=1)
    demos = load_demonstrations(config)
    assert demos.times is not None and demos.dim == 2 and demos.name == "a"
    assert demos.trajectories[0][1, 0] == pytest.approx(demos.trajectories[0][1, 1])
    for bad in ("a.csv#columns=", "a.csv#columns=x&rows=3", "a.csv#time=t&time=s"):
        with pytest.raises(InputError, match="#columns=x,y&time=t"):
            Source.parse(bad)
    write_svg(tmp_path / "a.svg", [CURVE])
    np.save(tmp_path / "a.npy", CURVE)
    for name in ("a.svg", "a.npy"):
        with pytest.raises(InputError, match="no named columns"):
            read_recording(tmp_path / name, columns=["x"])


# --- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "expected", "note"),
    [
        (CURVE, [CURVE], ""),
        (CURVE.T, [CURVE], "was transposed"),
        (STACK, list(STACK), ""),
        (STACK.swapaxes(1, 2), list(STACK), "was transposed"),
        (CURVE.astype("f4"), [CURVE.astype("f4")], ""),
        (np.asfortranarray(CURVE), [CURVE], ""),
        (CURVE.astype(">f8"), [CURVE], ""),
        ((9 * CURVE).astype("i2"), [(9 * CURVE).astype("i2")], ""),
        (CURVE[:3].T, [CURVE[:3].T], ""),  # (2, 3): either way round
        (STACK.swapaxes(0, 1), list(STACK.swapaxes(0, 1)), "taken for 40 demonstrations of 3"),
    ],
)
def test_arrays_are_read_in_the_order_that_is_more_probable(
    tmp_path: Path, array: np.ndarray, expected: list[np.ndarray], note: str
) -> None:
    np.save(tmp_path / "a.npy", array)
    recording = read_recording(tmp_path / "a.npy")
    same(recording, *expected)
    assert note in "; ".join(recording.notes) and bool(note) == bool(recording.notes)
    if note:
        recording = recording._replace(positions=tuple(x + T[: len(x), None] for x in expected))
        with pytest.warns(InputWarning, match=note):
            Demonstrations.from_recording(recording)


def test_axes_in_an_order_that_makes_no_demonstrations_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((100, 2, 7)))
    with pytest.raises(InputError, match=r"\(demonstration, sample, dimension\)") as error:
        read_recording(tmp_path / "a.npy")
    one_sentence(error)


def test_more_dimensions_than_samples_are_warned_of_in_arrays_too() -> None:
    with pytest.warns(InputWarning, match="40 dimensions and only 2 samples"):
        Demonstrations.from_arrays([CURVE.T])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Demonstrations.from_arrays([CURVE, CURVE[:3, :]])


def test_a_mask_is_not_dropped_in_silence() -> None:
    masked = np.ma.array(CURVE, mask=CURVE > 0.9)
    with pytest.raises(InputError, match="masked entries") as error:
        Demonstrations.from_arrays([masked])
    one_sentence(error)
    whole = np.ma.array(CURVE, mask=False)
    assert Demonstrations.from_arrays([whole]).n_pairs == 39


ARCHIVES: dict[str, tuple[dict[str, Any], dict[str, Any], list[np.ndarray], bool, str]] = {
    # name: (arrays, choice, demonstrations, whether with times, note)
    "one each": ({"a": CURVE, "b": CURVE[:9]}, {}, [CURVE, CURVE[:9]], False, ""),
    "stacked": ({"all": STACK}, {}, list(STACK), False, ""),
    "clock of each": ({"a": CURVE, "a_t": T}, {}, [CURVE], True, ""),
    "clock of all": ({"a": STACK, "time": T}, {}, list(STACK), True, ""),
    "velocity": ({"pos": CURVE, "vel": CURVE + 1}, {}, [CURVE], False, "not used: vel"),
    "several derived": (
        {"h_pos": CURVE, "h_acc": CURVE, "dt": 0.1}, {}, [CURVE], False, "not used: h_acc, dt"),
    "only velocities": ({"vel": CURVE}, {}, [CURVE], False, ""),
    "x and y": ({"x": T, "y": T**2, "t": T}, {}, [CURVE], True, ""),
    "x and y of many": ({"X": STACK[..., 0], "Y": STACK[..., 1]}, {}, list(STACK), False, ""),
    "transposed": ({"pos": CURVE.T}, {}, [CURVE], False, "was transposed"),
    "chosen": ({"a": CURVE, "b": CURVE + 1, "s": T}, {"columns": ["a"], "time": "s"}, [CURVE],
               True, ""),
    "derivatives by their names": (
        {"q": CURVE, "qd": CURVE, "q_dot": CURVE, "dq": CURVE, "next_q": CURVE}, {}, [CURVE], False,
        "not used: qd, q_dot, dq, next_q"),
    "names that are longer by chance": (
        {"a": CURVE, "ad": CURVE[:9]}, {}, [CURVE, CURVE[:9]], False, ""),
    "a whole mask": ({"data": CURVE, "mask": np.zeros((40, 2))}, {}, [CURVE], False, "mask"),
    "clock of every one": (
        {"pos": STACK, "time": np.stack([T, T, T])}, {}, list(STACK), True, ""),
    "chosen coordinates": (
        {"a": T, "b": T**2, "s": T, "c": T}, {"columns": ["a", "b"], "time": "s"}, [CURVE], True,
        ""),
    "chosen derived": ({"pos": CURVE + 1, "vel": CURVE}, {"columns": ["vel"]}, [CURVE], False, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", ARCHIVES)
@pytest.mark.parametrize("suffix", ["npz", "mat"])
def test_arrays_of_a_file_that_belong_together_are_taken_together(
    tmp_path: Path, case: str, suffix: str
) -> None:
    arrays, choice, expected, timed, note = ARCHIVES[case]
    path = tmp_path / f"a.{suffix}"
    if suffix == "npz":
        np.savez(path, **arrays)
    else:
        scipy.io.savemat(path, arrays)
    recording = read_recording(path, **choice)
    same(recording, *expected)
    assert note in "; ".join(recording.notes)
    for clock in recording.times:
        assert (clock is not None) == timed
        if clock is not None:
            np.testing.assert_array_equal(clock, T)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": CURVE, "mask": CURVE > 0.9}, "masked entries"),
        ({"pos": CURVE, "t": T[:-1]}, "39 time stamps, .* has 40"),
    ],
)
def test_arrays_that_say_something_of_others_are_not_dropped_in_silence(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message) as error:
        read_recording(tmp_path / "a.npz")
    one_sentence(error)


def test_demonstrations_without_time_stamps_of_their_own_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=CURVE, two=CURVE[:9], t=T)
    recording = read_recording(tmp_path / "a.npz")
    assert recording.notes == ("no time stamps for two",)
    assert recording.times[1] is None


def test_a_cell_of_arrays_is_several_demonstrations(tmp_path: Path) -> None:
    cell = np.empty((1, 3), dtype=object)
    for i in range(3):
        cell[0, i] = CURVE[i:]
    scipy.io.savemat(tmp_path / "a.mat", {"data": cell})
    same(read_recording(tmp_path / "a.mat"), CURVE, CURVE[1:], CURVE[2:])


@pytest.mark.parametrize("compressed", [False, True])
def test_the_lasa_layout_is_read(tmp_path: Path, compressed: bool) -> None:
    demos = np.empty((1, 3), dtype=object)
    for i in range(3):
        demos[0, i] = {
            "pos": (CURVE + i).T,
            "t": T[None],
            "vel": CURVE.T,
            "acc": CURVE.T,
            "dt": 0.1,
        }
    path = tmp_path / "Angle.mat"
    scipy.io.savemat(path, {"demos": demos, "dt": 0.1}, do_compression=compressed)
    recording = read_recording(path)
    same(recording, CURVE, CURVE + 1, CURVE + 2)
    for clock in recording.times:
        np.testing.assert_array_equal(clock, T)
    assert recording.notes == ("not used: acc, dt, vel",)
    assert Demonstrations.from_recording(recording, steps=20).times is not None
    same(read_recording(path, columns=["vel"], time="t"), CURVE, CURVE, CURVE)


# --- damage and hostility -----------------------------------------------------------------------


def npy(shape: str, dtype: str = "<f8", body: bytes = b"\0" * 64) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    head = (text + " " * (-(len(text) + 11) % 64) + "\n").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(npz(a=npy("(4, 2)")))
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(sign) + place] |= 1
    return bytes(data)


def matlab(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays)
    return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
DAMAGED = {
    "huge shape.npy": (npy("(1000000000000, 2)"), "promises"),
    "huger shape.npy": (npy("(10**30, 2)"), "header is damaged"),
    "hugest shape.npy": (npy(f"({10**30}, 2)"), "promises"),
    "negative shape.npy": (npy("(-4, -2)"), "promises"),
    "no shape.npy": (npy("None"), "damaged"),
    "code in the header.npy": (npy("__import__('os')"), "damaged"),
    "long header.npy": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{" * 99, "damaged"),
    "nested header.npy": (npy("(" * 9000), "damaged"),
    "objects.npy": (npy("(4, 2)", "|O"), "Python objects"),
    "words.npy": (npy("(4, 2)", "<U4"), "entries of type"),
    "records.npy": (npy("(4, 2)", "V8"), "entries of type"),
    "complex.npy": (npy("(2, 2)", "<c16"), "entries of type"),
    "dates.npy": (npy("(4, 2)", "<M8[s]"), "entries of type"),
    "cut off.npy": (npy("(4, 2)")[:-9], "too early"),
    "nothing.npy": (b"", "damaged"),
    "text.npy": (b"not numpy", "damaged"),
    "gzip.npy": (b"\x1f\x8b\x08\0\0", "compressed with gzip"),
    "pointer.npy": (LFS, "git lfs pull"),
    "pointer.npz": (LFS, "git lfs pull"),
    "pointer.csv": (LFS, "git lfs pull"),
    "pointer.mat": (LFS, "git lfs pull"),
    "pointer.svg": (LFS, "git lfs pull"),
    "gzip.svg": (b"\x1f\x8b\x08\0\0", "compressed with gzip"),
    "gzip.csv": (b"\x1f\x8b\x08\0\0", "compressed with gzip"),
    "locked.npz": (encrypted(), "encrypted"),
    "text.npz": (b"not a zip", "not a zip archive"),
    "cut off.npz": (npz(a=npy("(4, 2)"))[:-30], "not a zip archive"),
    "huge inside.npz": (npz(a=npy("(1000000000000, 2)")), "promises"),
    "other members.npz": (
        npz(a=npy("(4, 2)")).replace(b"a.npy", b"a.txt"), "not an array"),
    "nothing inside.npz": (npz(), "no demonstrations"),
    "text.mat": (b"x" * 200, "version 5"),
    "of version 7.3.mat": (b"MATLAB 7.3 MAT-file".ljust(600), "-v7"),
    "no arrays.mat": (matlab(a="words"), "no numeric arrays"),
    "cut off.mat": (matlab(a=CURVE)[:-40], "too early"),
    "claims more.mat": (
        matlab(a=CURVE).replace(struct.pack("<ii", 40, 2), struct.pack("<ii", 2**30, 2)),
        "dimensions"),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_and_hostile_files_get_one_sentence_in_little_memory(
    tmp_path: Path, name: str
) -> None:
    data, message = DAMAGED[name]
    (tmp_path / name).write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as error:
            Demonstrations.from_recording(read_recording(tmp_path / name))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    one_sentence(error)
    assert peak < 2**24


@pytest.mark.parametrize("suffix", ["npz", "mat"])
def test_what_inflates_too_far_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    zeros = np.zeros((2_000_000, 2))  # 32 MB, some 30 kB on disk
    if suffix == "npz":
        np.savez_compressed(path, a=zeros)
    else:
        scipy.io.savemat(path, {"a": zeros}, do_compression=True)
    assert path.stat().st_size < 10**5
    monkeypatch.setattr(archives, "MAX_BYTES", 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="inflates to more than 1048576 bytes") as error:
            read_recording(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    one_sentence(error)
    assert peak < 2**23


def test_a_checksum_that_does_not_fit_is_seen(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=CURVE)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[data.index(CURVE.tobytes()) + 100] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        read_recording(tmp_path / "a.npz")


# --- what was read, in words --------------------------------------------------------------------


def test_a_summary_counts_what_was_read(tmp_path: Path) -> None:
    write_svg(tmp_path / "two.svg", [CURVE, 2 * CURVE])
    rng = np.random.default_rng(0)
    demos = Demonstrations.from_svg(tmp_path / "two.svg", steps=50, generator=rng)
    length = 1.5 * np.linalg.norm(np.diff(CURVE, axis=0), axis=1).sum()
    text = demos.summary()
    for part in ("two: 2 demonstrations", "noise 0.01", "from 2 paths", "51 samples in 2 dim",
                 f"mean length {length:.3g}"):  # fmt: skip
        assert part in text, (part, text)
    share = float(text.partition("longest step ")[2].split()[0])
    assert 0.02 <= share < 0.04  # 50 equal steps and noise
    single = Demonstrations.from_arrays([CURVE], repetitions=3)
    assert "3 copies of one path" in single.summary() and "noise" not in single.summary()


def test_a_long_step_is_warned_of(tmp_path: Path) -> None:
    jump = np.concatenate([CURVE, CURVE + 3])
    np.save(tmp_path / "a.npy", np.stack([jump, jump]))
    with pytest.warns(InputWarning, match="longest step of a is 0.49"):
        load_demonstrations(DemonstrationConfig(str(tmp_path / "a.npy"), sigma=0, steps=None))


def test_a_drawing_of_several_strokes_is_sampled_by_length(tmp_path: Path) -> None:
    """A U of two straight stems and a curve: each stem gets its share of the samples."""
    body = "M 20,20 V 120 C 20,180 120,180 120,120 V 20"
    other = "M 22,20 V 121 C 22,181 121,181 121,121 V 21"
    (tmp_path / "u.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" fill="none" stroke="red">'
        f'<path d="{body}"/><path d="{other}"/></svg>'
    )
    demos = load_demonstrations(DemonstrationConfig(str(tmp_path / "u.svg"), sigma=0))
    assert demos.times is None and demos.oddities() == ()
    for points in demos.trajectories:
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        assert steps.max() / steps.sum() < 0.0101 and steps.min() / steps.sum() > 0.0098
        stem = (np.abs(points[:, 0]) < 1e-9).sum() - 1
        assert stem == pytest.approx(0.285 * 100, abs=1)
    clocks = [np.array([0.0, 1, 2, 9]), np.array([0.0, 1, 2, 3])]
    corners = [np.array([[0.0, 0], [0, 1], [1, 1], [1, 2]])] * 2
    write_svg(tmp_path / "timed.svg", corners, clocks)
    timed = load_demonstrations(DemonstrationConfig(str(tmp_path / "timed.svg"), sigma=0, steps=9))
    np.testing.assert_allclose(
        np.diff(timed.trajectories[0], axis=0)[2:, 1] / (2 * np.pi / 3), 1 / 7
    )


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not on this machine")
@pytest.mark.parametrize(
    ("name", "n", "samples"),
    [
        ("c05_pandas_index.csv", 2, None),
        ("c22_trailing_space_demo.csv", 2, None),
        ("n02_transposed_2xn.npy", 1, 40),
    ],
)
def test_shared_cases_are_read_right(name: str, n: int, samples: int | None) -> None:
    recording = read_recording(CASES / name)
    assert len(recording.positions) == n and recording.notes
    assert all(points.shape[1] == 2 for points in recording.positions)
    assert samples is None or len(recording.positions[0]) == samples
