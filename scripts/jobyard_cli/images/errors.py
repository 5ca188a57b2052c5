"""What can go wrong with images, each said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.system.versions import dotted


class ImageError(JobyardError):
    """An image can't be built, found or pushed."""


class UncommittedError(ImageError):
    """Folders of images have changes that are in no commit."""

    def __init__(self, changes: Sequence[str]) -> None:
        why = "an image must be built from a commit, which its tag names; commit these first:"
        super().__init__("\n".join([why, *changes]))


class UnknownProcessorsError(ImageError):
    """Nothing says for which processors to build."""

    def __init__(self) -> None:
        super().__init__(
            "allowedNodeGroups in values/team.yaml names no group of values/node-groups.yaml, so nothing says for "
            "which processors to build; give them with --platforms, such as linux/amd64"
        )


class InvalidPlatformError(ImageError, UsageError):
    """A platform to build for is not of the form that images have."""

    def __init__(self, given: str) -> None:
        super().__init__(f"--platforms must be platforms to build for, such as linux/amd64,linux/arm64; got '{given}'")


class EmulationError(ImageError):
    """This machine can't run another processor's programs, which a RUN of a Dockerfile has to."""

    def __init__(self, names: Sequence[str], architecture: str, host: str) -> None:
        super().__init__(
            f"{', '.join(names)}: the Dockerfile has RUN steps, and this machine ({host}) can't run programs for "
            f"{architecture}; install an emulator (Debian: qemu-user-static, registered with the kernel's binfmt_misc; "
            f"in a container: on the machine under it), or build for {host} alone: --platforms linux/{host}"
        )


class MissingProgramError(ImageError):
    """A program that works with images is not installed."""

    def __init__(self, program: str) -> None:
        super().__init__(f"this machine must have {program} (Debian: apt-get install buildah skopeo)")


class ImageNameError(ImageError):
    """A folder's name can't be an image's."""

    def __init__(self, names: Sequence[str]) -> None:
        shown = ", ".join(ascii(name) for name in names)
        rule = "lower-case letters and digits, and between them one of . _ -, at most 100 characters"
        super().__init__(f"images/: {shown}: the folder's name is the image's: {rule}")


class ImageFileError(ImageError):
    """A file of an image is a link that leaves the image's folder, or a Dockerfile that is a link."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}; an image is built from the files of its folder alone")


class UnsafeMountError(ImageError):
    """A Dockerfile mounts something, with a buildah that lets it mount this machine's files."""

    def __init__(self, names: Sequence[str], version: Sequence[int], safe: Sequence[int]) -> None:
        super().__init__(
            f"{', '.join(names)}: the Dockerfile has RUN --mount, and buildah {dotted(version)} lets it mount this "
            "machine's files (CVE-2024-1753 and others); leave it out, or build with buildah "
            f"{dotted(safe)} or newer"
        )


class ImageLayoutError(ImageError):
    """A folder is not the image that a build was to leave there."""

    def __init__(self, layout: Path, problem: str) -> None:
        super().__init__(f"{layout}: {problem}; `jobyard build-images`, in this commit, writes it")


class OtherCommitError(ImageError):
    """Images are to be built that this commit does not have."""

    def __init__(self, wanted: Sequence[str]) -> None:
        super().__init__(f"this commit has no {', '.join(wanted)}; list what is missing in the commit that builds it")


class ImageNotBuiltError(ImageError):
    """Images are not in the registry that they are to be copied from."""

    def __init__(self, addresses: Sequence[str], environment: str) -> None:
        message = ""
        for address in addresses:
            message += f"{address} does not exist\n"
        super().__init__(f"{message}build it first: `jobyard images --environment {environment}`, in this commit")


class RegistryError(ImageError):
    """The registry does not answer, or says no."""
