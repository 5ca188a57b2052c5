"""An image's program as a process: in a virtual environment of the image's requirements, with its files linked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobyard.contract import OUTPUT_PATH, SCRATCH_PATH

from jobyard_cli.running import pod_paths
from jobyard_cli.running.dockerfile import Copy, Image, read_dockerfile
from jobyard_cli.running.errors import LocalRunError
from jobyard_cli.running.rendering import Rendered, words_of
from jobyard_cli.running.store import Place
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

INSTALLED = "installed"
"""A file in an environment that is complete."""
PASSED = (
    *("HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables of this machine that a process needs, and a pod does not have."""
PATH = re.compile(r"(?<![\w./-])/[\w.+@%/-]*")
SHIM = "_jobyard_pod_paths"


class NoProgramError(LocalRunError):
    """Nothing says which program a task runs."""

    def __init__(self, image: str) -> None:
        super().__init__(
            f"images/{image}/Dockerfile has neither ENTRYPOINT nor CMD, and the task no command; without a container, "
            "nothing says which program to run"
        )


@dataclass(frozen=True)
class Start:
    """A process to start: its words, its whole environment, and where."""

    words: list[str]
    environment: dict[str, str]
    folder: Path


class ProcessImage:
    """One image of the team's repository, ready to run as a process."""

    def __init__(self, folder: Path, stage: Path) -> None:
        """Read the Dockerfile in `folder`; `stage` becomes the root of the image's file system."""
        self.name = folder.name
        self.folder = folder
        self.stage = stage
        self.image: Image = read_dockerfile(folder / "Dockerfile")
        self.python: Path | None = None

    def prepare(self, report: Report) -> None:
        """Link the image's files, and make the environment unless it is there.

        Raises:
            ProgramError: the requirements can't be installed.
        """
        self.link()
        self.python = _environment(self._requirements(), self.image.python, report)

    def link(self) -> None:
        """Link the files that the image has, where it has them, into the stage."""
        shutil.rmtree(self.stage, ignore_errors=True)
        self.stage.mkdir(parents=True)
        for copy in self.image.copies:
            _link(self.folder, self.stage, copy)
        self._here(self.image.workdir).mkdir(parents=True, exist_ok=True)

    @property
    def differences(self) -> list[str]:
        """What the image has that the process has not."""
        lines: list[str] = []
        if self.image.not_done:
            lines.append(f"{self.name}: not carried out of its Dockerfile: {'; '.join(self.image.not_done)}")
        if not self._requirement_files():
            lines.append(f"{self.name}: no file of requirements, so none of its image's libraries are there")
        return lines

    def start(self, rendered: Rendered, place: Place, given: Mapping[str, str]) -> Start:
        """Return the process of a task; `given` are variables besides the task's own.

        Raises:
            NoProgramError: neither task nor image says which program to run.
        """
        assert self.python is not None
        folders = self._folders(place)
        words = self._words(rendered)
        own: dict[str, str] = {}
        for name, value in {**self.image.env, **rendered.env}.items():
            if name != "PATH":
                own[name] = self._moved(value, folders)
        environment = {
            **{name: os.environ[name] for name in PASSED if name in os.environ},
            **own,
            **given,
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONNOUSERSITE": "1",
            # It would go beside the code, in the team's repository.
            "PYTHONDONTWRITEBYTECODE": "1",
            pod_paths.VARIABLE: json.dumps(folders),
        }
        moved = [self._moved(word, folders) for word in words]
        return Start(moved, environment, self._here(self.image.workdir))

    def _words(self, rendered: Rendered) -> list[str]:
        """The program and its arguments, of task or image, as Kubernetes puts them together."""
        words = words_of(rendered, self.image.entrypoint, self.image.command)
        if not words:
            raise NoProgramError(self.name)
        return words

    def _folders(self, place: Place) -> dict[str, str]:
        """The image's and the pod's folders, each with this machine's."""
        folders = {str(Path(OUTPUT_PATH).parent): str(place.written.parent), SCRATCH_PATH: str(place.scratch)}
        for entry in self.stage.iterdir():
            if not Path("/", entry.name).exists():
                folders[f"/{entry.name}"] = str(entry)
        return folders

    def _moved(self, text: str, folders: Mapping[str, str]) -> str:
        """The text with this machine's paths for those of the image and the pod."""

        def move(found: re.Match[str]) -> str:
            path = found[0]
            for folder, here in folders.items():
                if path == folder or path.startswith(f"{folder}/"):
                    return here + path.removeprefix(folder)
            staged = self._here(path)
            return str(staged) if path.strip("/") and staged.exists() else path

        return PATH.sub(move, text)

    def _here(self, path: str) -> Path:
        return self.stage / path.lstrip("/")

    def _requirement_files(self) -> list[Path]:
        named = [self._here(path) for path in self.image.requirements]
        found = [file for file in named if file.is_file()]
        usual = self.folder / "requirements.txt"
        return found or ([usual] if usual.is_file() else [])

    def _requirements(self) -> list[Path]:
        return [file.resolve() for file in self._requirement_files()]


def _link(folder: Path, stage: Path, copy: Copy) -> None:
    """Link what a COPY takes from the image's folder to where it is in the image."""
    target = stage / copy.target.lstrip("/")
    for source in _matching(folder, copy.source):
        if source.is_dir():
            _real(stage, target)
            for entry in source.iterdir():
                _replace(target / entry.name, entry)
        else:
            place = target / source.name if copy.into_folder or target.is_dir() else target
            _real(stage, place.parent)
            _replace(place, source)


def _matching(folder: Path, pattern: str) -> Iterable[Path]:
    pattern = pattern.strip("/") or "."
    if pattern in (".", "./"):
        return [folder]
    return sorted(folder.glob(pattern.removeprefix("./")))


def _real(stage: Path, folder: Path) -> None:
    """Make the folder and those above it real ones, with links in them, so that no link into the image's folder is
    written through."""
    for one in (*reversed(folder.relative_to(stage).parents), folder.relative_to(stage)):
        here = stage / one
        if here.is_symlink():
            linked = here.resolve()
            here.unlink()
            here.mkdir()
            for entry in linked.iterdir():
                (here / entry.name).symlink_to(entry)
        here.mkdir(exist_ok=True)


def _replace(link: Path, source: Path) -> None:
    if link.is_symlink():
        link.unlink()
    elif link.is_dir():
        for entry in source.iterdir():
            _replace(link / entry.name, entry)
        return
    link.symlink_to(source.resolve())


def _environment(requirements: Sequence[Path], version: str | None, report: Report) -> Path:
    """Return the Python of an environment with these requirements, made once for their content."""
    wanted = version or f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(repr((wanted, sysconfig.get_platform())).encode())
    digest.update(Path(pod_paths.__file__).read_bytes())
    for file in requirements:
        digest.update(file.read_bytes())
    target = cache_dir() / "run" / f"{wanted}-{digest.hexdigest()[:16]}"
    with one_builder(target.with_name(f"{target.name}.lock")):
        if not (target / INSTALLED).exists():
            shutil.rmtree(target, ignore_errors=True)
            report(f"installing its requirements for Python {wanted}, once")
            _install(target, requirements, wanted)
            (target / INSTALLED).touch()
    return target / "bin" / "python"


def _install(target: Path, requirements: Sequence[Path], version: str) -> None:
    import uv

    program = uv.find_uv_bin()
    run([program, "venv", "--quiet", "--python", version, target], what=f"making an environment of Python {version}")
    if requirements:
        files = [f"--requirement={file}" for file in requirements]
        install = [program, "pip", "install", "--quiet", "--python", str(target / "bin" / "python")]
        run([*install, *files], what=f"installing {', '.join(map(str, requirements))}")
    (packages,) = (target / "lib").glob("python*/site-packages")
    shutil.copy(pod_paths.__file__, packages / f"{SHIM}.py")
    (packages / f"{SHIM}.pth").write_text(f"import {SHIM}\n", encoding="utf-8")
