"""What can go wrong with images, each said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Sequence

from jobyard_cli.errors import JobyardError


class ImageError(JobyardError):
    """An image can't be built, found or pushed."""


class Uncommitted(ImageError):
    """Folders of images have changes that are in no commit."""

    def __init__(self, changes: Sequence[str]) -> None:
        why = "an image is built from a commit, so that its tag says what is in it; commit these first:"
        super().__init__("\n".join([why, *changes]))


class NoMachines(ImageError):
    """Nothing says for which processors to build."""

    def __init__(self) -> None:
        super().__init__(
            "allowedNodeGroups in values/team.yaml names no group of values/node-groups.yaml, so nothing says for "
            "which processors to build; give them with --platforms, such as linux/amd64"
        )


class NotAPlatform(ImageError):
    """An option names no processor to build for."""

    def __init__(self, given: str) -> None:
        super().__init__(f"'{given}' is no platform to build for; write them like linux/amd64,linux/arm64")


class NoEmulation(ImageError):
    """This machine can't run another processor's programs, which a RUN of a Dockerfile has to."""

    def __init__(self, names: Sequence[str], architecture: str, host: str) -> None:
        super().__init__(
            f"{', '.join(names)}: the Dockerfile has RUN steps, and this machine ({host}) can't run programs for "
            f"{architecture}; install an emulator (Debian: qemu-user-static, registered with the kernel's binfmt_misc; "
            f"in a container: on the machine under it), or build for {host} alone: --platforms linux/{host}"
        )


class MissingProgram(ImageError):
    """A program that works with images is not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"there is no {' and no '.join(names)} on this machine (Debian: apt-get install buildah skopeo)"
        )


class NotBuilt(ImageError):
    """Images are not in the registry that they are to be copied from."""

    def __init__(self, addresses: Sequence[str], environment: str) -> None:
        lines = [f"{address} is not there" for address in addresses]
        advice = f"build it first: `jobyard images --environment {environment}`, in this commit"
        super().__init__("\n".join([*lines, advice]))


class RegistryRefused(ImageError):
    """The registry does not answer, or says no."""

    def __init__(self, registry: str, reason: str) -> None:
        super().__init__(f"the registry {registry}: {reason}")
