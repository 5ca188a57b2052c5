"""Has every image of a team's repository in a registry, and says where by digest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from jobyard_cli.cli.steps import Steps
from jobyard_cli.images import platforms as processors
from jobyard_cli.images.build import build, check_mounts
from jobyard_cli.images.errors import ImageNotBuiltError, MissingProgramError, OtherCommitError
from jobyard_cli.images.layouts import digest_of
from jobyard_cli.images.registry import Registry, copy, login, push
from jobyard_cli.images.sources import Source, export, sources
from jobyard_cli.system.errors import ProgramError


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


@dataclass(frozen=True)
class Target:
    """A registry, the images of this commit, and the digests of those that it has already."""

    registry: Registry
    platforms: Sequence[str]
    existing: dict[Source, str]
    missing: list[Source]

    def published(self, digests: Mapping[Source, str], done: str) -> Iterator[Published]:
        """Yield where these images are, by their digests; the same was done for each."""
        for source, digest in digests.items():
            yield Published(source.name, f"{self.registry.image(source.name)}@{digest}", done)


def find_missing(
    root: Path,
    team: str,
    address: str,
    platforms: Sequence[str],
    steps: Steps,
    only: Collection[str] | None = None,
) -> dict[str, str]:
    """Return the tags of the images that the registry lacks, by name.

    Raises: see `publish`.
    """
    _need("skopeo")
    with tempfile.TemporaryDirectory(prefix="jobyard-images-") as folder:
        (registry,) = login(address, [], team, Path(folder))
        target = _look(root, registry, platforms, steps, only)
    return {source.name: source.tag(platforms) for source in target.missing}


def build_all(
    root: Path,
    wanted: Mapping[str, str] | None,
    platforms: Sequence[str],
    output: Path,
    steps: Steps,
    only: Collection[str] | None = None,
) -> list[str]:
    """Build images into `output`, a layout each; the names. `wanted` has names and tags, None stands for all.

    `only` has the names of those that count as the repository's; None stands for all.

    Raises:
        MissingProgramError: buildah is not installed.
        OtherCommitError: an image that is wanted is not this commit's.
        UncommittedError, ImageNameError, ImageFileError: see `sources`.
        UnsafeMountError, EmulationError: a Dockerfile can't be built safely, or for a platform, here.
        ProgramError: a build failed.
    """
    chosen = sources(root, only)
    if wanted is not None:
        chosen = _chosen(chosen, wanted, platforms)
    _build(chosen, root, platforms, output, steps)
    return sorted(source.name for source in chosen)


def publish(
    root: Path,
    team: str,
    address: str,
    platforms: Sequence[str],
    steps: Steps,
    origin: Origin | None = None,
    built: Path | None = None,
    only: Collection[str] | None = None,
) -> list[Published]:
    """Ensure every image exists in the registry; build or copy the missing ones.

    `built` is the folder of layouts that another job built, which may hold anything; `only` is that of `build_all`.

    Raises:
        MissingProgramError: buildah or skopeo is not installed.
        ImageNotBuiltError: an image that is to be copied is not where it should come from.
        ImageLayoutError: an image is not in `built` as it has to be.
        RegistryError, ProgramError: a registry refused, or a build failed.
        Others: see `build_all`.
    """
    _need("skopeo")
    with tempfile.TemporaryDirectory(prefix="jobyard-images-") as folder:
        others = [origin.registry] if origin else []
        registry, *origins = login(address, others, team, Path(folder))
        target = _look(root, registry, platforms, steps, only)
        if origin:
            added = target.published(_copy(target, origins[0], steps, origin.environment), "copied")
        else:
            if built is None:
                built = Path(folder) / "layouts"
                _build(target.missing, root, platforms, built, steps)
            added = target.published(_push(target, built, steps), "built")
    return sorted([*target.published(target.existing, "there already"), *added], key=attrgetter("name"))


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise MissingProgramError(program)


def _chosen(own: Sequence[Source], wanted: Mapping[str, str], platforms: Sequence[str]) -> list[Source]:
    """The images that are wanted, by name and tag.

    Raises:
        OtherCommitError: one is not among this commit's own.
    """
    tagged = {(source.name, source.tag(platforms)): source for source in own}
    chosen: list[Source] = []
    foreign: list[str] = []
    for name, tag in wanted.items():
        if (name, tag) in tagged:
            chosen.append(tagged[name, tag])
        else:
            foreign.append(f"{name}:{tag}")
    if foreign:
        raise OtherCommitError(foreign)
    return chosen


def _look(
    root: Path, registry: Registry, platforms: Sequence[str], steps: Steps, only: Collection[str] | None
) -> Target:
    wanted = sources(root, only)
    with steps.step(f"what is in {registry.address}"):
        existing, missing = _digests(registry, wanted, platforms)
    return Target(registry, platforms, existing, missing)


def _digests(
    registry: Registry, wanted: Sequence[Source], platforms: Sequence[str]
) -> tuple[dict[Source, str], list[Source]]:
    """The digests of the images that a registry has, and the images that it lacks."""
    digests: dict[Source, str] = {}
    missing: list[Source] = []
    for source in wanted:
        digest = registry.digest(source.name, source.tag(platforms))
        if digest is None:
            missing.append(source)
        else:
            digests[source] = digest
    return digests, missing


def _copy(target: Target, origin: Registry, steps: Steps, environment: str) -> dict[Source, str]:
    """Copy images, all or none; their digests."""
    platforms = target.platforms
    digests, absent = _digests(origin, target.missing, platforms)
    if absent:
        raise ImageNotBuiltError([origin.tagged(source.name, source.tag(platforms)) for source in absent], environment)
    for source, digest in digests.items():
        with steps.step(f"{source.name}, copied from {origin.address}"):
            target.registry.prepare(source.name)
            copy(origin, target.registry, source.name, source.tag(platforms), digest)
    return digests


def _build(wanted: Sequence[Source], root: Path, platforms: Sequence[str], output: Path, steps: Steps) -> None:
    if not wanted:
        return
    _need("buildah")
    check_mounts(root, wanted)
    processors.check(root, wanted, platforms)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jobyard-build-") as folder:
        for source in wanted:
            with steps.step(f"{source.name} for {', '.join(platforms)}") as report:
                context = export(root, source, Path(folder))
                build(context, source.name, source.tag(platforms), platforms, output / source.name, report)


def _push(target: Target, layouts: Path, steps: Steps) -> dict[Source, str]:
    """Push images from their layouts, all of them looked at first; their digests."""
    digests: dict[Source, str] = {}
    for source in target.missing:
        digests[source] = digest_of(layouts / source.name, source.tag(target.platforms))
    for source in target.missing:
        with steps.step(f"{source.name}, pushed to {target.registry.address}"):
            target.registry.prepare(source.name)
            if other := _push_image(target, source, layouts / source.name):
                digests[source] = other
    return digests


def _push_image(target: Target, source: Source, layout: Path) -> str | None:
    """Push one image; the digest in the registry if another pipeline was quicker, as a tag never changes."""
    tag = source.tag(target.platforms)
    try:
        push(layout, target.registry, source.name, tag)
    except ProgramError:
        if digest := target.registry.digest(source.name, tag):
            return digest
        raise
    return None
