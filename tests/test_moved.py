"""Old names of modules work for one release, with a warning that names the new one."""

import importlib
import subprocess
import sys

import pytest

import ebmlib
from ebmlib import _moved


@pytest.fixture(autouse=True)
def _names_stay_as_they_were():
    """Importing an old module puts it in the place of a function of that name (``presets``)."""
    kept = {"presets": ebmlib.presets} | vars(ebmlib)
    yield
    for name, value in kept.items():
        if vars(ebmlib).get(name) is not value:
            setattr(ebmlib, name, value)


@pytest.mark.parametrize("old", _moved.MOVED)
def test_an_old_name_gives_the_module_that_took_its_place(old):
    for name in [n for n in sys.modules if n == old]:
        del sys.modules[name]
    with pytest.warns(DeprecationWarning, match=f"{old} is now {_moved.MOVED[old]}"):
        found = importlib.import_module(old)
    assert found is importlib.import_module(_moved.MOVED[old])
    assert found.__name__ == found.__spec__.name == _moved.MOVED[old], (
        "the module is left as it was"
    )


@pytest.mark.slow
def test_names_within_old_modules_and_below_them_are_found():
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from ebmlib.sgld import SGLD; from ebmlib.policy import EXP, rollout\n"
        "from ebmlib.thesis.studies.policy import STUDIES; from ebmlib.thesis import Companion\n"
        "from ebmlib import SGLD as new; assert SGLD is new\n"
        "import thesis.studies.policy as p; assert p.STUDIES is STUDIES\n"
        "import ebmlib.training; from ebmlib.training import TrainingConfig, train\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"ebmlib\.nonsense"):
        importlib.import_module("ebmlib.nonsense")


@pytest.mark.parametrize("old", _moved.RENAMED)
def test_old_names_of_functions_work_and_warn(old):
    module_name, _, name = old.rpartition(".")
    module = importlib.import_module(module_name)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {_moved.RENAMED[old]}"):
        assert getattr(module, name) is getattr(module, _moved.RENAMED[old])
    with pytest.raises(AttributeError, match=f"{module_name}.*nonsense"):
        _ = module.nonsense
