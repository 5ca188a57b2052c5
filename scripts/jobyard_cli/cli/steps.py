"""Shows a long command's steps: what is running, what it is doing now, and how long each took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 20.0
"""Where output is not a terminal (CI's log), a step that goes on says what it is doing this often."""


LOG_WIDTH = 120


def new_console() -> Console:
    """A console as wide as the terminal; in a log, wide enough that tables need no cut."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


class Steps:
    """Prints one line for each finished step; on a terminal, the running ones stay live below."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("[dim]{task.fields[doing]}"))
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
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Time what happens inside; call what it yields with a short line to say what is going on."""
        started = time.monotonic()
        task = self._progress.add_task(title, doing="", total=None)
        last = started

        def say(doing: str) -> None:
            nonlocal last
            self._progress.update(task, doing=doing)
            if not self.console.is_terminal and time.monotonic() - last > QUIET_SECONDS:
                last = time.monotonic()
                self._print(f"  … {title}: {doing} ({last - started:.0f} s)")

        try:
            yield say
        except BaseException:
            self._print(f"[red]✗[/red] {title} [dim]{time.monotonic() - started:.1f} s[/dim]")
            raise
        finally:
            self._progress.remove_task(task)
        self._print(f"[green]✓[/green] {title} [dim]{time.monotonic() - started:.1f} s[/dim]")

    def _print(self, line: str) -> None:
        with self._lock:
            self.console.print(line, highlight=False, soft_wrap=True)
