"""How tests wait for what other processes do: for the event, and as long as a busy machine may need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jobyard_cli.system.waiting import PATIENCE_SECONDS, NotYetError, until


class NotSoError(AssertionError):
    """What was waited for did not happen."""


def wait_until(holds: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Return once it holds; a server that does not answer meanwhile ends nothing."""

    def look() -> None:
        if not holds():
            raise NotYetError(f"{_place(holds)} does not hold")

    try:
        until(look, seconds, lambda last: NotYetError(f"not so after {seconds:.0f} s: {last}"), pause=0.1)
    except NotYetError as late:
        raise NotSoError(str(late)) from late


def _place(condition: Callable[[], object]) -> str:
    """Return where a condition is written: the summary of a run has an error's text, and no traceback."""
    code = getattr(condition, "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else repr(condition)
