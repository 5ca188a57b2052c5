"""Has every image of a team's repository in a registry, and says where by digest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobyard_cli.container_images import platforms as processors
from jobyard_cli.container_images.build import build, forget, push
from jobyard_cli.container_images.errors import MissingProgram, NotBuilt
from jobyard_cli.container_images.registry import Registry, copy, login
from jobyard_cli.container_images.sources import Source, export, sources
from jobyard_cli.local.errors import CommandFailed
from jobyard_cli.local.shell import Report
from jobyard_cli.steps import Steps

PROGRAMS = ("buildah", "skopeo")


@dataclass(frozen=True)
class Published:
    """Where an image is, and what was done to have it there: `built`, `copied`, or `there already`."""

    name: str
    url: str
    done: str


@dataclass(frozen=True)
class Origin:
    """The environment whose images are copied instead of built, and its registry."""

    environment: str
    registry: str


def publish(
    root: Path, team: str, address: str, platforms: Sequence[str], steps: Steps, origin: Origin | None = None
) -> list[Published]:
    """Have every image in the registry at an address: what is there already stays, the rest is built or copied.

    Raises:
        MissingProgram: buildah or skopeo is not installed.
        Uncommitted: an image's folder has changes that are in no commit.
        NoEmulation: this machine can't build for one of the platforms.
        NotBuilt: an image that is to be copied is not where it should come from.
        RegistryRefused, CommandFailed: a registry refused, or a build failed.
    """
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise MissingProgram(missing)
    wanted = sources(root)
    with tempfile.TemporaryDirectory(prefix="jobyard-images-") as folder:
        target, *origins = login(address, [origin.registry] if origin else [], team, Path(folder))
        with steps.step(f"what is in {address}"):
            there = {source.name: target.digest(source.name, source.tag(platforms)) for source in wanted}
        missing_ones = [source for source in wanted if there[source.name] is None]
        if origin:
            made = _copy(missing_ones, platforms, origins[0], target, steps, origin.environment)
        else:
            processors.check(root, missing_ones, platforms)
            made = {one.name: _build(root, one, platforms, target, steps, Path(folder)) for one in missing_ones}
    done = "copied" if origin else "built"
    return [
        Published(
            source.name,
            f"{target.image(source.name)}@{there[source.name] or made[source.name]}",
            "there already" if there[source.name] else done,
        )
        for source in wanted
    ]


def _copy(
    missing: Sequence[Source],
    platforms: Sequence[str],
    origin: Registry,
    target: Registry,
    steps: Steps,
    environment: str,
) -> dict[str, str]:
    """Copy images, all or none; their digests."""
    digests = {source.name: origin.digest(source.name, source.tag(platforms)) for source in missing}
    absent = [source for source in missing if digests[source.name] is None]
    if absent:
        raise NotBuilt([f"{origin.image(one.name)}:{one.tag(platforms)}" for one in absent], environment)
    found = {name: digest for name, digest in digests.items() if digest is not None}
    for source in missing:
        with steps.step(f"{source.name}, copied from {origin.address}"):
            target.prepare(source.name)
            copy(origin, target, source.name, source.tag(platforms), found[source.name])
    return found


def _build(root: Path, source: Source, platforms: Sequence[str], target: Registry, steps: Steps, folder: Path) -> str:
    """Build and push one image; its digest."""
    with steps.step(f"{source.name} for {', '.join(platforms)}") as report:
        target.prepare(source.name)
        context = export(root, source, folder)
        listed = build(context, source.name, source.tag(platforms), platforms, report)
        try:
            return _push(listed, source, platforms, target, report, folder / f"{source.name}.digest")
        finally:
            forget(listed)


def _push(
    listed: str, source: Source, platforms: Sequence[str], target: Registry, report: Report, digest_file: Path
) -> str:
    report("pushing")
    tag = source.tag(platforms)
    try:
        return push(listed, target, source.name, tag, digest_file)
    except CommandFailed:
        # A tag never changes: another pipeline may have pushed the same content meanwhile.
        if digest := target.digest(source.name, tag):
            return digest
        raise
