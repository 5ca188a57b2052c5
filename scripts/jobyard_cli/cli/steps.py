"""Shows a long command's steps: what is running, what it is doing now, and how long each took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

QUIET_SECONDS = 20.0
"""Where output is not a terminal (CI's log), a step that goes on says what it is doing this often."""

LOG_WIDTH = 120
BAR_WIDTH = 30
ESTIMATE_FROM = 0.03
"""The share of a step that has to be done before it says how long the rest takes."""


def new_console() -> Console:
    """A console as wide as the terminal; in a log, wide enough that tables need no cut."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


class Steps:
    """Prints one line for each finished step; on a terminal, the running ones stay live below."""

    def __init__(self, console: Console) -> None:
        self.console = console
        doing = TextColumn("[dim]{task.fields[doing]}")
        columns = (SpinnerColumn(), TextColumn("{task.description}"), _Bar(), doing)
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._lock = threading.Lock()

    def __enter__(self) -> Steps:
        if self.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self.console.is_terminal:
            self._progress.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Time what happens inside; call what it yields with a short line to say what is going on."""
        started = time.monotonic()
        task = self._progress.add_task(title, doing="", total=None)
        try:
            yield Step(self, title, task)
        except BaseException:
            self._print(f"[red]✗[/red] {title} [dim]{time.monotonic() - started:.1f} s[/dim]")
            raise
        finally:
            self._progress.remove_task(task)
        self._print(f"[green]✓[/green] {title} [dim]{time.monotonic() - started:.1f} s[/dim]")

    def note(self, line: str) -> None:
        """Print a line, in Rich's markup, above the running steps."""
        self._print(line)

    def _print(self, line: str) -> None:
        with self._lock:
            self.console.print(line, highlight=False, soft_wrap=True)


class Step:
    """One running step: call it with a short line to say what it is doing."""

    def __init__(self, steps: Steps, title: str, task: TaskID) -> None:
        self._steps = steps
        self._title = title
        self._task = task
        self._started = self._last_printed = time.monotonic()
        self._first_progress: float | None = None

    def __call__(self, doing: str) -> None:
        self._steps._progress.update(self._task, doing=doing)
        self._log(doing)

    def progress(self, share: float, doing: str) -> None:
        """Show a bar of which this share, between 0 and 1, is done, and an estimate of the time left."""
        doing += self._time_left(share)
        self._steps._progress.update(self._task, doing=doing, completed=share, total=1.0)
        self._log(doing)

    def _time_left(self, share: float) -> str:
        now = time.monotonic()
        if self._first_progress is None:
            self._first_progress = now
        if not ESTIMATE_FROM <= share < 1:
            return ""
        return f", {_rough(seconds=(now - self._first_progress) * (1 - share) / share)} left"

    def _log(self, doing: str) -> None:
        now = time.monotonic()
        if not self._steps.console.is_terminal and now - self._last_printed > QUIET_SECONDS:
            self._last_printed = now
            self._steps._print(f"  … {self._title}: {doing} ({now - self._started:.0f} s)")


class _Bar(ProgressColumn):
    """A bar for the steps that know how much is done; the others have none."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = BarColumn(bar_width=BAR_WIDTH)

    def render(self, task: Task) -> RenderableType:
        return Text() if task.total is None else self._bar.render(task)


def _rough(seconds: float) -> str:
    """A duration for a person who waits: minutes, and below one the nearest ten seconds."""
    if seconds < 55:
        return f"about {max(10, round(seconds, -1)):.0f} s"
    return f"about {round(seconds / 60):.0f} min"
