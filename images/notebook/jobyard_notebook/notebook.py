"""Reads a notebook, and finds in it what the job has to do with: the tagged cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat.reader import NotJSONError

from jobyard_notebook.errors import NotebookFileError, OutputError
from jobyard_notebook.parameters import TAG, Kinds, declared

OUTPUT_TAG = "output"
OUTPUT_BYTES = 4096
JSON = "application/json"
MISSING = object()


def read(file: Path) -> nbformat.NotebookNode:
    """Return a notebook of Python code.

    Raises:
        NotebookFileError: the file is missing, is not a notebook, or its code is not Python.
    """
    if not file.is_file():
        there = ", ".join(sorted(found.name for found in file.parent.glob("*.ipynb"))) or "no notebooks"
        raise NotebookFileError(f"the file does not exist; {file.parent.absolute()} has: {there}")
    try:
        notebook: nbformat.NotebookNode = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
    except (NotJSONError, nbformat.ValidationError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise NotebookFileError(f"the file must be a notebook as Jupyter writes it: {reason}") from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise NotebookFileError(f"the notebook must be of Python code; its kernel's language is {language}")
    return notebook


def parameters(notebook: nbformat.NotebookNode) -> Kinds:
    """Return the parameters that the notebook declares; none if no cell has the tag.

    Raises:
        ParameterError: the cell is not plain Python.
    """
    cell = next(_tagged(notebook, TAG), None)
    return declared(cell.source) if cell else {}


def check_output_cell(notebook: nbformat.NotebookNode) -> None:
    """Make sure before the run that at most one cell is to leave the output.

    Raises:
        OutputError: several cells have the tag.
    """
    cells = len(list(_tagged(notebook, OUTPUT_TAG)))
    if cells > 1:
        raise OutputError(f"one cell at most must have the tag '{OUTPUT_TAG}'; {cells} have it")


def output(notebook: nbformat.NotebookNode, address: str) -> str:
    """Return the task's output as JSON: what the cell tagged `output` shows as JSON.

    An object gets the executed notebook's `address` too, unless it has a `notebook` of its own.

    Raises:
        OutputError: the tagged cell shows no JSON, or what it shows is NaN or too long.
    """
    cell = next(_tagged(notebook, OUTPUT_TAG), None)
    value = _shown(cell) if cell else {}
    if value is MISSING:
        raise OutputError(
            f"the cell tagged '{OUTPUT_TAG}' must end with JSON({{...}}), after from IPython.display import JSON"
        )
    text = _text(value)
    size = len(text.encode())
    if size >= OUTPUT_BYTES:
        raise OutputError(f"the output must be smaller than {OUTPUT_BYTES} bytes; it has {size}: store it in S3")
    with_address = _text({"notebook": address, **value}) if isinstance(value, dict) else text
    return with_address if len(with_address.encode()) < OUTPUT_BYTES else text


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise OutputError(f"the output must have neither NaN nor infinity; got {value!r:.200}") from error


def _tagged(notebook: nbformat.NotebookNode, tag: str) -> Iterator[Any]:
    for cell in notebook.cells:
        if cell.cell_type == "code" and tag in cell.metadata.get("tags", ()):
            yield cell


def _shown(cell: Any) -> Any:
    """Return the last JSON that a cell shows, or MISSING."""
    shown = [found.data[JSON] for found in cell.outputs if JSON in found.get("data", {})]
    return shown[-1] if shown else MISSING
