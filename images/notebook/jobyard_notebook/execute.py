"""Executes a notebook with papermill, which saves it after each cell, so that a killed pod's notebook is kept too."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.iorw import papermill_io
from traitlets.config import Config

from jobyard_notebook import place
from jobyard_notebook.errors import CellError, StoreError

KERNEL = "python3"
LONGEST = 300
"""Characters of an exception's message, or of a line, that an error quotes."""


ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})
"""The kernel listens on loopback, where a machine that runs the task without a container has other users."""


def execute(file: Path, to: str, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Run the cells in the notebook's folder, as Jupyter does, and return the notebook with its outputs.

    What cells print goes to standard output and error. What they show stays in the notebook: a table of rows does not
    belong into a log.

    Raises:
        CellError: a cell failed, or the kernel died. The notebook is kept.
        StoreError: the notebook can't be kept.
    """
    papermill_io.register(place.S3, place.Objects)
    with _jupyter_folders():
        try:
            executed: nbformat.NotebookNode = papermill.execute_notebook(
                _literal(str(file)),
                _literal(to),
                dict(parameters),
                kernel_name=KERNEL,
                language="python",
                progress_bar=False,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
                cwd=file.parent,
                config=ENCRYPTED,
            )
        except papermill.PapermillExecutionError as error:
            raise CellError(f"{_failure(error)}; executed notebook: {place.shown(to)}") from error
        except DeadKernelError as error:
            raise CellError(
                "the kernel died, most likely as it used more memory than the task's limit; executed notebook, with "
                f"the cells that ended: {place.shown(to)}"
            ) from error
        except OSError as error:
            raise StoreError(f"can't write the executed notebook to {to}: {error}") from error
    return executed


def _literal(path: str) -> str:
    """Return the path as papermill, which formats it, leaves it."""
    return path.replace("{", "{{").replace("}", "}}")


def _failure(error: papermill.PapermillExecutionError) -> str:
    what = _short(f"{error.ename}: {error.evalue}" if error.evalue else error.ename)
    return f"cell [{error.exec_count}], which begins with `{_short(error.source)}`, failed: {what}"


def _short(text: str) -> str:
    """Return the first line that is not empty, cut where it is too long."""
    line = next(filter(None, map(str.strip, text.splitlines())), "")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


@contextmanager
def _jupyter_folders() -> Iterator[None]:
    """Let this process and its kernel write to a temporary folder."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="notebook-", ignore_cleanup_errors=True) as folder:
        os.environ.update(place.folders(Path(folder)))
        # Without this, the kernel warns that a debugger could miss breakpoints.
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
