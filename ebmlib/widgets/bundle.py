"""JavaScript modules joined into one text, since a widget's code reaches the page as one string.

Only what our own modules use is understood: ``import { a, b } from "./x.js";`` and exported
declarations, without renaming. Joined modules share one scope, so their names must differ; this is
checked.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "js"

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w./-]+)";\n', re.MULTILINE)
_REEXPORT = re.compile(r'^export \{([^}]*)\} from "\./([\w./-]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|class|function))", re.MULTILINE)
_DECLARED = re.compile(
    r"^(?:export )?(?:async )?(?:const|let|class|function\*?) (\w+)", re.MULTILINE
)


def _order(name: str, done: list[str]) -> list[str]:
    """The module and all that it imports, each after what it needs."""
    if name not in done:
        text = (FOLDER / name).read_text(encoding="utf-8")
        needed = _IMPORT.findall(text) + [path for _, path in _REEXPORT.findall(text)]
        for other in needed:
            _order(other, done)
        done.append(name)
    return done


def exported(entry: str) -> list[str]:
    """The names that a module exports."""
    text = (FOLDER / entry).read_text(encoding="utf-8")
    names = [name.strip() for group, _ in _REEXPORT.findall(text) for name in group.split(",")]
    own = re.findall(
        r"^export (?:async )?(?:const|let|class|function\*?) (\w+)", text, re.MULTILINE
    )
    return [name for name in names if name] + own


@cache
def joined(entry: str) -> str:
    """A module and all that it imports as one script without imports or exports."""
    parts: list[str] = []
    owner: dict[str, str] = {}
    for name in _order(entry, []):
        text = (FOLDER / name).read_text(encoding="utf-8")
        for declared in _DECLARED.findall(text):
            if declared in owner:
                raise ValueError(
                    f"{owner[declared]} and {name} both declare {declared}; rename one."
                )
            owner[declared] = name
        parts.append(_EXPORT.sub("", _REEXPORT.sub("", _IMPORT.sub("", text))))
    return "\n".join(parts)


def module_source(entry: str) -> str:
    """A module and all that it imports as one ES module with the exports of ``entry``."""
    return f"{joined(entry)}\nexport {{ {', '.join(exported(entry))} }};\n"
