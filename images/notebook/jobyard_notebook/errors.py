"""What can be wrong with a notebook or its run; each message is one line for the task's log."""

from __future__ import annotations


class NotebookError(Exception):
    """The base of the others."""


class NotebookFileError(NotebookError):
    """The file is missing, or is not a Python notebook."""


class ParameterError(NotebookError):
    """A parameter that the notebook does not declare, or a value that is not of its type; the message has them all."""


class CellError(NotebookError):
    """A cell failed; the message has its number, its first line and the exception."""


class OutputError(NotebookError):
    """The notebook's output can't be passed to other tasks."""


class StoreError(NotebookError):
    """The executed notebook can't be written."""
