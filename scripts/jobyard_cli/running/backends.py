"""Where a task runs: in a container of an engine, or as a process."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobyard.contract import is_image_address
from jobyard.entries import Task

from jobyard_cli.running.engines import PROCESS, Container, Engine
from jobyard_cli.running.errors import EngineError, ImageSourceMissingError
from jobyard_cli.running.process import ProcessImage
from jobyard_cli.running.rendering import Instance, Rendered
from jobyard_cli.running.store import Place
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.programs import Report, Running, kill_tree, start

KILLED_FOR_MEMORY = 137
"""The exit code of a container's program that the kernel has killed."""


@dataclass(frozen=True)
class Started:
    """What runs, and how it is ended, whether it has ended by itself or not."""

    process: Running
    end: Callable[[], None]


class Backend(ABC):
    """Runs tasks of some images."""

    @property
    @abstractmethod
    def host(self) -> str | None:
        """What this machine is called where tasks run; None where they run here."""

    @abstractmethod
    def prepare(self, image: str, report: Report) -> None:
        """Build what the image needs, once."""

    @abstractmethod
    def start(
        self, task: Task, instance: Instance, rendered: Rendered, place: Place, given: Mapping[str, str]
    ) -> Started:
        """Start the task; it writes to the log of its place. `given` are variables besides its own."""

    @abstractmethod
    def failure(self, task: Task, code: int) -> str:
        """What the exit code of a program that failed means, in words."""


class Containers(Backend):
    """Runs each task in a container of its own."""

    def __init__(self, engine: Engine, images: Path) -> None:
        self.engine = engine
        self._images = images
        self._built: dict[str, str] = {}

    @property
    def host(self) -> str | None:
        return self.engine.host

    def prepare(self, image: str, report: Report) -> None:
        if is_image_address(image):
            return
        try:
            self._built[image] = self.engine.build(self._images / image, report)
        except ProgramError as error:
            raise EngineError(f"{error}\n--engine {PROCESS} runs tasks without containers") from error

    def start(
        self, task: Task, instance: Instance, rendered: Rendered, place: Place, given: Mapping[str, str]
    ) -> Started:
        name = f"jobyard-{os.getpid()}-{instance.task}" + ("" if instance.index < 0 else f"-{instance.index}")
        image = self._built.get(task["image"], task["image"])
        container = Container(name, image, task, rendered, place, given)
        self.engine.prepare(container)
        with place.log.open("wb") as log:
            process = start(self.engine.command(container), output=log, environment=given, session=True)

        def end() -> None:
            _end(process)
            self.engine.end(container)

        return Started(process, end)

    def failure(self, task: Task, code: int) -> str:
        words = f"its program ended with exit code {code}"
        memory = task["resources"]["limits"].get("memory")
        if code == KILLED_FOR_MEMORY:
            words += f": it was killed, most likely as it used more memory than its limit of {memory}"
        return words


class Processes(Backend):
    """Runs each task as a process of this machine."""

    def __init__(self, images: Path, stage: Path) -> None:
        """Images are folders of `images`; `stage` gets their file systems."""
        self._folder = images
        self._stage = stage
        self._images: dict[str, ProcessImage] = {}

    @property
    def host(self) -> str | None:
        return None

    def image(self, name: str) -> ProcessImage:
        """The image of that name."""
        if name not in self._images:
            self._images[name] = ProcessImage(self._folder / name, self._stage / name)
        return self._images[name]

    def prepare(self, image: str, report: Report) -> None:
        self.image(image).prepare(report)

    def start(
        self, task: Task, instance: Instance, rendered: Rendered, place: Place, given: Mapping[str, str]
    ) -> Started:
        made = self.image(task["image"]).start(rendered, place, given)
        with place.log.open("wb") as log:
            process = start(
                made.words, output=log, environment=made.environment, cwd=made.folder, session=True, alone=True
            )
        return Started(process, lambda: _end(process))

    def failure(self, task: Task, code: int) -> str:
        return f"its program was ended by signal {-code}" if code < 0 else f"its program ended with exit code {code}"


def check_images(images: Path, tasks: Mapping[str, Task], chosen: Sequence[str], engine: Engine | None) -> None:
    """Make sure that what the tasks run is here.

    Raises:
        ImageSourceMissingError: an image has no folder, or is an address and there is no engine to pull it.
    """
    problems: list[str] = []
    for name in chosen:
        image = tasks[name]["image"]
        if is_image_address(image):
            if engine is None:
                problems.append(f"{name}: the image {image} can only be run by a container engine")
        elif not (images / image / "Dockerfile").is_file():
            problems.append(f"{name}: images/{image}/Dockerfile does not exist, so the image can't be built here")
    if problems:
        raise ImageSourceMissingError(problems)


def _end(process: Running) -> None:
    """Kill the process with all that it started, unless it has ended."""
    if process.poll() is None:
        kill_tree(process.pid)
        process.wait()
