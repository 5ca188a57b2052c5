"""Container engines: what builds an image of the team's repository here, and runs its container.

Docker and podman take the same arguments; buildah, which many Linux machines have for building, runs containers too.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from jobyard.contract import OUTPUT_PATH, SCRATCH_PATH, is_image_address
from jobyard.entries import Task
from jobyard.quantities import parse_quantity

from jobyard_cli.running.data_folder import LOOPBACK
from jobyard_cli.running.errors import EngineError
from jobyard_cli.running.rendering import Rendered, words_of
from jobyard_cli.running.store import Place
from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.programs import Report, finish, run, stream

ANSWER_SECONDS = 20.0
"""How long an engine has to say that it works."""
PROCESS = "process"
PROCESSORS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
ISOLATION = "BUILDAH_ISOLATION"
VARIABLES = "/run/jobyard-variables"
"""Where a container of buildah's has the file with the variables that it is given."""


@dataclass(frozen=True)
class Container:
    """A task's container."""

    name: str
    image: str
    task: Task
    rendered: Rendered
    place: Place
    given: Mapping[str, str]
    """Variables besides the task's own: secrets, credentials. Their values are in no command."""

    @property
    def variables(self) -> list[str]:
        """The engine's options for them: those that are given by name alone, which the engine reads from its own."""
        words: list[str] = []
        for name, value in self.rendered.env.items():
            words += ["--env", f"{name}={value}"]
        for name in self.given:
            words += ["--env", name]
        return words


class Engine:
    """An engine, by the name of its program."""

    program: ClassVar[str]
    host: str = LOOPBACK
    """What this machine is called inside a container."""

    def build(self, folder: Path, report: Report) -> str:
        """Build the Dockerfile in a folder, unless an image of the same files is there; its name.

        Raises:
            ProgramError: a step failed; the message ends with the end of its output.
        """
        tag = f"localhost/jobyard-run/{folder.name}:{content_of(folder)}"
        if not self.has(tag):
            report("building its image, once")
            command = [self.program, "build", "--tag", tag, *self.build_options(), str(folder)]
            stream(command, report, what=f"{self.program} build of images/{folder.name}", environment={}, cwd=folder)
        return tag

    def build_options(self) -> list[str]:
        """Options of a build besides its tag."""
        return []

    def has(self, image: str) -> bool:
        """Whether the image is there."""
        return finish([self.program, "image", "inspect", image], deadline=60).code == 0

    def prepare(self, container: Container) -> None:
        """Do what has to be done before the container's command."""

    def command(self, container: Container) -> list[str]:
        """The command that runs the container, and ends as it does; values of `given` come from its environment."""
        raise NotImplementedError

    def end(self, container: Container) -> None:
        """Remove the container, running or not."""
        finish([self.program, "rm", "--force", container.name], deadline=120)

    def differences(self, tasks: Sequence[Task]) -> list[str]:
        """What a container of these tasks has otherwise than their pods."""
        del tasks
        return []


class DockerLike(Engine):
    """Docker, and what takes its arguments."""

    mount = "rw"

    def __init__(self) -> None:
        # On a Mac the engine runs in a virtual machine, whose loopback is another.
        if sys.platform == "darwin":
            self.host = self.gateway

    gateway = "host.docker.internal"

    def command(self, container: Container) -> list[str]:
        """As `Engine.command`."""
        words = [self.program, "run", "--rm", "--name", container.name, *self._limits(container.task)]
        if sys.platform != "darwin":
            words += ["--network", "host"]
        words += ["--volume", f"{container.place.written}:{OUTPUT_PATH}:{self.mount}"]
        if container.task["scratch"] is not None:
            words += ["--volume", f"{container.place.scratch}:{SCRATCH_PATH}:{self.mount}"]
        words += container.variables
        command = container.rendered.command
        if command:
            words += ["--entrypoint", command[0]]
        return [*words, container.image, *command[1:], *container.rendered.args]

    def _limits(self, task: Task) -> list[str]:
        """The bounds of the pod that an engine has too."""
        words = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        if task.get("read_only_root_filesystem"):
            words.append("--read-only")
        limits = task["resources"]["limits"]
        if memory := limits.get("memory"):
            words += ["--memory", str(int(parse_quantity(memory)))]
        if processors := limits.get("cpu"):
            words += ["--cpus", str(parse_quantity(processors))]
        return words


class Docker(DockerLike):
    """Docker."""

    program = "docker"


class Podman(DockerLike):
    """Podman."""

    program = "podman"
    gateway = "host.containers.internal"
    # Its machines label files (SELinux): without this the container may not read them.
    mount = "rw,Z"


class Buildah(Engine):
    """buildah, on Linux: it makes a container of the image, and runs its program there.

    It takes values of variables in its command alone, which everybody on the machine can read. So the image's shell
    reads those that are given, from a file that nobody else can.
    """

    program = "buildah"

    def __init__(self) -> None:
        self._files: dict[str, TemporaryDirectory[str]] = {}

    def has(self, image: str) -> bool:
        """Whether the image is there."""
        return finish(["buildah", "inspect", "--type", "image", image], deadline=60).code == 0

    def build_options(self) -> list[str]:
        """Options of a build: layers are kept, as Docker keeps them."""
        return ["--layers"]

    def prepare(self, container: Container) -> None:
        """Make the container; its image may be an address that is pulled now."""
        memory = container.task["resources"]["limits"].get("memory")
        limits = ["--memory", str(int(parse_quantity(memory)))] if memory else []
        finish(["buildah", "rm", container.name], deadline=120)
        run(["buildah", "from", "--quiet", "--name", container.name, *limits, container.image], what="buildah from")
        if container.given:
            # Of a folder that is closed to others; in the container, its user is another.
            folder = self._files[container.name] = TemporaryDirectory(prefix="jobyard-run-")
            lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in container.given.items())
            Path(folder.name, "variables").write_text(lines, encoding="utf-8")

    def command(self, container: Container) -> list[str]:
        """As `Engine.command`."""
        words = ["buildah", "run", "--network", "host", "--cap-drop", "ALL"]
        words += ["--volume", f"{container.place.written}:{OUTPUT_PATH}:rw"]
        if container.task["scratch"] is not None:
            words += ["--volume", f"{container.place.scratch}:{SCRATCH_PATH}:rw"]
        for name, value in container.rendered.env.items():
            words += ["--env", f"{name}={value}"]
        program = self._program(container)
        if container.name in self._files:
            words += ["--volume", f"{self._files[container.name].name}/variables:{VARIABLES}:ro"]
            program = ["/bin/sh", "-c", f'. {VARIABLES}; exec "$@"', "sh", *program]
        return [*words, container.name, "--", *program]

    def end(self, container: Container) -> None:
        """Remove the container, running or not, and its file of variables."""
        finish(["buildah", "rm", container.name], deadline=120)
        if folder := self._files.pop(container.name, None):
            folder.cleanup()

    def _program(self, container: Container) -> list[str]:
        """The program and its arguments, as Kubernetes puts them together: buildah itself takes none of the image."""
        text = run(["buildah", "inspect", "--type", "image", container.image], what="buildah inspect")
        image = json.loads(text)["OCIv1"]["config"]
        return words_of(container.rendered, image.get("Entrypoint", []), image.get("Cmd", []))

    def differences(self, tasks: Sequence[Task]) -> list[str]:
        """What buildah can't bound."""
        lines: list[str] = []
        if any(task.get("read_only_root_filesystem") for task in tasks):
            lines.append("the root file system is not read-only: buildah can't make it so")
        if os.environ.get(ISOLATION) == "chroot":
            lines.append(f"memory is not limited: {ISOLATION} is chroot")
        return lines


ENGINES: Mapping[str, type[Engine]] = {"docker": Docker, "podman": Podman, "buildah": Buildah}
_ASKS: Mapping[str, list[str]] = {"docker": ["info"], "podman": ["info"], "buildah": ["images", "--quiet"]}


def find_engine(wanted: str) -> tuple[Engine | None, str]:
    """The engine of that name, or for "" the first that works; None for a process, and why, in words.

    Raises:
        EngineError: the engine that is wanted does not work.
    """
    if wanted == PROCESS:
        return None, "as --engine says"
    problems: list[str] = []
    for name in [wanted] if wanted else ENGINES:
        problem = _problem(name)
        if problem is None:
            return ENGINES[name](), ""
        problems.append(problem)
    if wanted:
        raise EngineError(f"{problems[0]}; --engine {PROCESS} runs tasks without containers")
    return None, "; ".join(problems)


def _problem(name: str) -> str | None:
    """Why the engine can't be used; None if it works."""
    if name == "buildah" and not sys.platform.startswith("linux"):
        return "buildah runs on Linux alone"
    if shutil.which(name) is None:
        return f"no {name}"
    try:
        done = finish([name, *_ASKS[name]], deadline=ANSWER_SECONDS)
    except ProgramError:
        return f"{name} does not answer"
    if done.code == 0:
        return None
    lines = done.complaint.splitlines() or ["it does not say why"]
    return f"{name} does not work ({lines[-1].strip()[:120]})"


def processor() -> str:
    """This machine's processor, as images and node groups call it."""
    machine = platform.machine().lower()
    return PROCESSORS.get(machine, machine)


def content_of(folder: Path) -> str:
    """The hash of all files in a folder, and of which of them may be executed."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if "__pycache__" in file.parts or not (file.is_file() or file.is_symlink()):
            continue
        content = os.readlink(file).encode() if file.is_symlink() else file.read_bytes()
        executable = not file.is_symlink() and os.access(file, os.X_OK)
        header = repr((file.relative_to(folder).as_posix(), executable, len(content)))
        digest.update(header.encode() + content)
    return digest.hexdigest()[:16]


def image_of(image: str, built: Mapping[str, str]) -> str:
    """The image that a container is of: one that was built here, or the address as it is."""
    return image if is_image_address(image) else built[image]
