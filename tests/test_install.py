"""The library as a stranger has it: from a wheel, without this checkout and without the thesis.

The wheel is built from a copy of the sources, so that nothing is written here. The packages of this
environment serve as the dependencies. The checkout, which is an editable install in it, is kept out
by ``-S`` (no .pth file is read) and ``-P`` (the working directory is not searched).
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import ebmlib
from ebmlib import DemonstrationConfig, load_demonstrations
from ebmlib.demonstrations import bundled

pytestmark = pytest.mark.slow  # a wheel is built and installed

ROOT = Path(ebmlib.__file__).resolve().parents[1]
MEANT_FOR_READERS = {"README.md"}  # of a folder in the repository; no program reads it


class Installed(NamedTuple):
    """The folder that the library was installed to, and Python that finds it there alone."""

    target: Path
    run: Callable[..., subprocess.CompletedProcess[str]]

    def evaluate(self, code: str) -> str:
        """What a program prints that must succeed."""
        done = self.run("-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def pip(*arguments: str) -> None:
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("install")
    sources, target, elsewhere = (folder / name for name in ("sources", "target", "elsewhere"))
    left_out = shutil.ignore_patterns("__pycache__")
    for name in ("ebmlib", "data", "thesis"):
        shutil.copytree(ROOT / name, sources / name, ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    elsewhere.mkdir()
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    pip(*build, str(sources))
    (wheel,) = folder.glob("*.whl")
    pip("install", "--no-deps", "--no-compile", "--target", str(target), str(wheel))

    paths = sysconfig.get_paths()
    found = [str(target), *dict.fromkeys((paths["purelib"], paths["platlib"]))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(found),
        "EBMLIB_STORE": str(folder / "store"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-P", *arguments],
            capture_output=True,
            text=True,
            cwd=elsewhere,
            env=environment,
        )

    return Installed(target, run)


def test_the_wheel_is_used_and_brings_nothing_of_the_thesis(installed):
    assert Path(installed.evaluate("import ebmlib; print(ebmlib.__file__)")).is_relative_to(
        installed.target
    )
    tops = {path.name for path in installed.target.iterdir() if path.suffix != ".dist-info"}
    assert tops == {"ebmlib"}
    done = installed.run("-c", "import thesis")
    assert done.returncode == 1 and "ModuleNotFoundError: No module named 'thesis'" in done.stderr


def test_every_file_of_the_library_is_installed(installed):
    """A package or a kind of file that pyproject.toml does not name would be missing."""
    expected = {
        path.relative_to(ROOT)
        for path in (ROOT / "ebmlib").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected |= {Path("ebmlib") / path.relative_to(ROOT) for path in (ROOT / "data").glob("*.svg")}
    there = {
        path.relative_to(installed.target)
        for path in (installed.target / "ebmlib").rglob("*")
        if path.is_file()
    }
    missing = {str(path) for path in expected - there if path.name not in MEANT_FOR_READERS}
    assert not missing
    assert Path("ebmlib/sampling/walk.c") in there and Path("ebmlib/py.typed") in there


def test_every_public_name_and_every_module_can_be_imported(installed):
    count = installed.evaluate(
        "import importlib, pkgutil, ebmlib\n"
        "found = [m.name for m in pkgutil.walk_packages(ebmlib.__path__, 'ebmlib.')]\n"
        "no = ('ebmlib.__main__', 'ebmlib.sampling.triton_chain', 'ebmlib.sampling.triton_kernel')\n"  # noqa: E501
        "modules = [importlib.import_module(m) for m in found if m not in no]  # Triton is extra\n"
        "for module in (ebmlib, *modules):\n"
        "    for name in getattr(module, '__all__', ()):\n"
        "        getattr(module, name)\n"
        "assert {'ebmlib.figures.fields', 'ebmlib.widgets.export'} <= set(found)\n"
        "print(len(ebmlib.__all__))"
    )
    assert int(count) == len(ebmlib.__all__) > 20


def test_the_bundled_drawings_load_from_the_installed_package(installed):
    code = (
        "import ebmlib\n"
        "from ebmlib.demonstrations import bundled\n"
        "for name in bundled.names():\n"
        "    config = ebmlib.DemonstrationConfig(name)\n"
        "    print(ebmlib.load_demonstrations(config).digest())\n"
        "print(bundled.directory())"
    )
    *digests, folder = installed.evaluate(code).split("\n")
    assert Path(folder) == installed.target / "ebmlib" / "data"
    here = [load_demonstrations(DemonstrationConfig(name)) for name in bundled.names()]
    assert digests == [data.digest() for data in here]


def test_the_commands_work(installed, tmp_path):
    """All in one process, each as ``python -m ebmlib`` runs it: importing torch takes longest."""
    tiny = ["circle", "--set", "epochs=2", "sgld_K=2", "sgld_dim=8", "--device", "cpu"]
    picture = tmp_path / "circle.png"
    commands = [
        ["datasets"],
        ["presets"],
        ["train", *tiny],
        ["sample", *tiny, "--steps", "3"],
        ["sample", *tiny, "--steps", "3", "--policy", "ml", "--out", str(picture)],
        ["store", "list"],
    ]
    out = installed.evaluate(
        "import runpy, sys\n"
        f"for arguments in {commands}:\n"
        "    sys.argv = ['ebmlib', *arguments]\n"
        "    try:\n"
        "        runpy.run_module('ebmlib', run_name='__main__')\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, arguments\n"
        "    print('===')"
    )
    datasets, presets, train, sample, drawn, listing = out.removesuffix("===").split("===\n")
    assert "mouse1" in datasets and "sgld_K" in presets
    assert "trained in" in train
    table = sample.splitlines()
    assert table[0] == "trajectory,step,x,y" and len(table) == 1 + 4
    assert drawn == "" and picture.read_bytes().startswith(b"\x89PNG")
    assert len(listing.splitlines()) == 1 and "2 epochs" in listing
    assert (installed.target.parent / "store").is_dir()
