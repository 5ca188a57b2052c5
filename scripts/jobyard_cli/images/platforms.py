"""For which processors an image is built, and whether this machine can."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jobyard_cli.images.errors import EmulationError, InvalidPlatformError, UnknownProcessorsError
from jobyard_cli.images.sources import Source, has_run_steps
from jobyard_cli.team.repo import TeamRepo

FORM = re.compile(r"linux/[a-z0-9]+(/v[0-9]+)?")
# uname's word -> that of images
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# the words of images -> those of qemu
EMULATORS = {"amd64": "x86_64", "arm64": "aarch64"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")


def parse(text: str) -> list[str]:
    """Return the platforms in a list separated by commas.

    Raises:
        InvalidPlatformError: one has another form.
    """
    platforms = {word.strip() for word in text.split(",")} - {""}
    for name in sorted(platforms) or [text]:
        if not FORM.fullmatch(name):
            raise InvalidPlatformError(name)
    return sorted(platforms)


def of_team(repo: TeamRepo) -> list[str]:
    """Return the platforms of the node groups that the team may use.

    Its own values say which, as its jobs are checked by them: one image, the same in every environment.

    Raises:
        UnknownProcessorsError: they name no group that is in the catalogue.
    """
    platforms: set[str] = set()
    for name in repo.allowed_node_groups:
        group = repo.node_groups.get(name, {})
        if "architecture" in group:
            platforms.add(f"linux/{group['architecture']}")
    if not platforms:
        raise UnknownProcessorsError
    return sorted(platforms)


def check(root: Path, sources: Iterable[Source], platforms: Sequence[str]) -> None:
    """Make sure that this machine can build these images for these platforms.

    Raises:
        EmulationError: it can't run the programs of one.
    """
    with_run_steps = [source.name for source in sources if has_run_steps(root, source)]
    if not with_run_steps:
        return
    host = ARCHITECTURES.get(platform.machine(), platform.machine())
    for name in platforms:
        architecture = name.split("/")[1]
        if architecture != host and not emulated(architecture):
            raise EmulationError(with_run_steps, architecture, host)


def emulated(architecture: str, binfmt: Path = BINFMT) -> bool:
    """Return whether the kernel runs this processor's programs with an emulator."""
    entry = binfmt / f"qemu-{EMULATORS.get(architecture, architecture)}"
    return entry.is_file() and entry.read_text().startswith("enabled")
