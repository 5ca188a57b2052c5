"""Warn of notebooks with outputs: a table that a cell showed is data, and would stay in git's history."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from jobyard_cli.check.findings import WARNING, Finding, printable

SUFFIX = ".ipynb"
CHECKPOINTS = ".ipynb_checkpoints"
OUTPUTS = re.compile(r'"outputs"\s*:\s*\[(?!\s*\])')
"""A list of outputs that is not empty. In the text of a cell, the quotes are escaped: the JSON need not be parsed."""


def doubt_notebooks(root: Path) -> Iterator[Finding]:
    """Yield a warning for each notebook in `images/` of the repository that has outputs, at the first of them."""
    for file in sorted(_notebooks(root / "images")):
        text = file.read_text(encoding="utf-8", errors="replace")
        found = list(OUTPUTS.finditer(text))
        if not found:
            continue
        start = found[0].start()
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        cells = "1 cell" if len(found) == 1 else f"{len(found)} cells"
        message = (
            f"the notebook has outputs of {cells}, which may be data of people: clear the outputs before you commit it"
        )
        yield Finding(printable(file.relative_to(root).as_posix()), line, column, message, "notebook", WARNING)


def _notebooks(folder: Path) -> Iterator[Path]:
    """Yield the notebooks in a folder; links are not followed, and Jupyter's own copies are not committed."""
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != CHECKPOINTS]
        for name in files:
            path = Path(top, name)
            if name.endswith(SUFFIX) and not path.is_symlink():
                yield path
