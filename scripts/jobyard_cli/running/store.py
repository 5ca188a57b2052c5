"""Where a run on this machine keeps logs and outputs: `.jobyard/runs/<job>/<day>/<task>/` in the team's repository."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard_cli.running.rendering import Instance

FOLDER = ".jobyard"
LOG = "log.txt"
OUTPUT = "output.json"
ROOM = "files"
"""What the task's container sees of this machine: the file of its output, and its scratch space."""


@dataclass(frozen=True)
class Place:
    """The folder of one instance of a task."""

    folder: Path

    @property
    def log(self) -> Path:
        """What it has printed."""
        return self.folder / LOG

    @property
    def written(self) -> Path:
        """What it writes its output to, as /airflow/xcom/return.json."""
        return self.folder / ROOM / "xcom" / "return.json"

    @property
    def scratch(self) -> Path:
        """What it has as /scratch."""
        return self.folder / ROOM / "scratch"

    def begin(self) -> None:
        """Make the folder as a new pod finds its own: empty; what an earlier run left is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.written.parent.mkdir(parents=True)
        self.scratch.mkdir()
        # The image's user is another than this machine's.
        self.scratch.chmod(0o777)
        self.written.touch()
        self.written.chmod(0o666)
        self.log.touch()

    def text(self) -> str | None:
        """What it has written as its output, if anything."""
        return self.written.read_text(encoding="utf-8", errors="replace") or None


class Store:
    """The folder of one run."""

    def __init__(self, root: Path, job: str, run: str) -> None:
        self.root = root
        self.folder = root / FOLDER / "runs" / job / run

    def make(self) -> None:
        """Make the folder, which git is to leave alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.root / FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")

    def place(self, instance: Instance) -> Place:
        """The folder of an instance."""
        folder = self.folder / instance.task
        return Place(folder if instance.index < 0 else folder / str(instance.index))

    def keep(self, instance: Instance, output: Any) -> None:
        """Keep what the instance has left, for those that are run later."""
        text = json.dumps(output, indent=1, ensure_ascii=False) + "\n"
        (self.place(instance).folder / OUTPUT).write_text(text, encoding="utf-8")

    def kept(self, task: str, *, is_foreach: bool) -> Any:
        """What the task left in an earlier run: None if nothing; of a task with `foreach`, the list of all.

        An output is never null.
        """
        folder = self.folder / task
        if not is_foreach:
            return _read(folder / OUTPUT)
        indexes = sorted(int(path.parent.name) for path in folder.glob(f"*/{OUTPUT}"))
        found = [_read(folder / str(index) / OUTPUT) for index in indexes]
        return found or None

    def forget(self, task: str, instances: int) -> None:
        """Drop what an earlier run left of instances that a task no longer has."""
        for folder in (self.folder / task).glob("[0-9]*"):
            if int(folder.name) >= instances:
                shutil.rmtree(folder)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
