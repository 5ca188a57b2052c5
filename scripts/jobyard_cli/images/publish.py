"""Has every image of a team's repository in a registry, and says where by digest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
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
    there: dict[Source, str]
    missing: list[Source]

    def url(self, source: Source, digest: str) -> str:
        return f"{self.registry.image(source.name)}@{digest}"


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
    own = {source.name: source for source in sources(root, only)}
    chosen = dict(wanted) if wanted is not None else {name: one.tag(platforms) for name, one in own.items()}
    foreign = [f"{name}:{tag}" for name, tag in chosen.items() if name not in own or own[name].tag(platforms) != tag]
    if foreign:
        raise OtherCommitError(foreign)
    _build([own[name] for name in chosen], root, platforms, output, steps)
    return sorted(chosen)


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
        registry, *origins = login(address, [origin.registry] if origin else [], team, Path(folder))
        target = _look(root, registry, platforms, steps, only)
        if origin:
            made, done = _copy(target, origins[0], steps, origin.environment), "copied"
        else:
            if built is None:
                _build(target.missing, root, platforms, Path(folder) / "layouts", steps)
            made, done = _push(target, built or Path(folder) / "layouts", steps), "built"
    urls = {source: target.url(source, digest) for source, digest in {**target.there, **made}.items()}
    found = [Published(source.name, url, done if source in made else "there already") for source, url in urls.items()]
    return sorted(found, key=lambda one: one.name)


def _need(*programs: str) -> None:
    if missing := [program for program in programs if shutil.which(program) is None]:
        raise MissingProgramError(missing)


def _look(
    root: Path, registry: Registry, platforms: Sequence[str], steps: Steps, only: Collection[str] | None
) -> Target:
    wanted = sources(root, only)
    with steps.step(f"what is in {registry.address}"):
        digests = {source: registry.digest(source.name, source.tag(platforms)) for source in wanted}
    there = {source: digest for source, digest in digests.items() if digest is not None}
    return Target(registry, platforms, there, [source for source in wanted if source not in there])


def _copy(target: Target, origin: Registry, steps: Steps, environment: str) -> dict[Source, str]:
    """Copy images, all or none; their digests."""
    platforms = target.platforms
    digests = {source: origin.digest(source.name, source.tag(platforms)) for source in target.missing}
    found = {source: digest for source, digest in digests.items() if digest is not None}
    if absent := [source for source in target.missing if source not in found]:
        raise ImageNotBuiltError([f"{origin.image(one.name)}:{one.tag(platforms)}" for one in absent], environment)
    for source, digest in found.items():
        with steps.step(f"{source.name}, copied from {origin.address}"):
            target.registry.prepare(source.name)
            copy(origin, target.registry, source.name, source.tag(platforms), digest)
    return found


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
    tags = {source: source.tag(target.platforms) for source in target.missing}
    digests = {source: digest_of(layouts / source.name, tag) for source, tag in tags.items()}
    for source, tag in tags.items():
        with steps.step(f"{source.name}, pushed to {target.registry.address}"):
            target.registry.prepare(source.name)
            digests[source] = _pushed(target.registry, layouts / source.name, source.name, tag, digests[source])
    return digests


def _pushed(registry: Registry, layout: Path, name: str, tag: str, digest: str) -> str:
    try:
        push(layout, registry, name, tag)
    except ProgramError:
        # A tag never changes: another pipeline may have pushed the same content meanwhile.
        if there := registry.digest(name, tag):
            return there
        raise
    return digest
