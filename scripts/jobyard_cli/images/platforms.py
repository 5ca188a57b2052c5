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
    found = sorted({word.strip() for word in text.split(",") if word.strip()})
    for word in found or [text]:
        if not FORM.fullmatch(word):
            raise InvalidPlatformError(word)
    return found


def of_team(repo: TeamRepo) -> list[str]:
    """Return the platforms of the node groups that the team may use.

    Its own values say which, as its jobs are checked by them: one image, the same in every environment.

    Raises:
        UnknownProcessorsError: they name no group that is in the catalogue.
    """
    groups = repo.node_groups
    known = [groups[name] for name in repo.allowed_node_groups if name in groups]
    found = sorted({f"linux/{group['architecture']}" for group in known if "architecture" in group})
    if not found:
        raise UnknownProcessorsError
    return found


def check(root: Path, sources: Iterable[Source], platforms: Sequence[str]) -> None:
    """Make sure that this machine can build these images for these platforms.

    Raises:
        EmulationError: it can't run the programs of one.
    """
    running = [source.name for source in sources if has_run_steps(root, source)]
    host = ARCHITECTURES.get(platform.machine(), platform.machine())
    for architecture in (one.split("/")[1] for one in platforms):
        if running and architecture != host and not emulated(architecture):
            raise EmulationError(running, architecture, host)


def emulated(architecture: str, binfmt: Path = BINFMT) -> bool:
    """Return whether the kernel runs this processor's programs with an emulator."""
    entry = binfmt / f"qemu-{EMULATORS.get(architecture, architecture)}"
    return entry.is_file() and entry.read_text().startswith("enabled")
