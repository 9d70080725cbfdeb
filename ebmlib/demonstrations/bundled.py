"""The drawings that come with the library, by name (data/README.md)."""

from pathlib import Path

from ebmlib.errors import InputError

_BUNDLED = {
    "circle": "a circle that ends where it starts, one reference path (4.4.2)",
    "crossing": "a loop that crosses itself, four uneven strokes; generated, not in the thesis",
    "crossing-kept": "three more strokes of the same loop, to judge by",
    "fork": "strokes that turn left or right from one stem: two modes; not in the thesis (3.3)",
    "mouse1": "mouse-like strokes that spread and fork near the tail; a reconstruction (4.4.3)",
    "mouse2": "mouse-like strokes along a curved hook with little spread; a reconstruction (4.4.4)",
    "path1": "an open S-shaped curve, one reference path (4.4.1)",
}


def names() -> dict[str, str]:
    """Names of the bundled data sets, each with a line that describes it."""
    return dict(_BUNDLED)


def directory() -> Path:
    """Where the bundled drawings are: ``data/`` of a checkout, or inside the installed package.

    Raises:
        InputError: they are missing.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "data", package / "data"):
        if all((folder / f"{name}.svg").is_file() for name in _BUNDLED):
            return folder
    raise InputError("The bundled drawings are missing; install ebmlib again, or name a file.")


def resolve(source: str) -> tuple[Path, str]:
    """The file behind a bundled name or a path, and a name for messages.

    Raises:
        InputError: neither a bundled name nor like a path.
    """
    if source in _BUNDLED:
        return directory() / f"{source}.svg", source
    path = Path(source)
    if path.suffix or path.exists():
        return path, path.stem
    raise InputError(
        f"There is no data set {source!r}; use one of {', '.join(sorted(_BUNDLED))}, or pass the "
        "path of an .svg, .npy, .npz, .mat or .csv file."
    )
