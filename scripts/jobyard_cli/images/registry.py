"""Registries, as skopeo reaches them: what is in one, and copying from one to another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jobyard_cli.images import ecr
from jobyard_cli.images.errors import RegistryError
from jobyard_cli.system.programs import finish, run

RETRIES = "--retry-times=5"
"""skopeo repeats what failed on the way or by the server's fault, with growing pauses."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
NOT_THERE = re.compile(
    r"reading manifest.*: (manifest unknown|name unknown|StatusCode: 404|(?!.*executable).*not ?found)"
)
"""What skopeo says where the registry has answered that it lacks the tag or the repository.

Without the words before it, a credential helper that is not installed ("executable file not found") would be taken for
an image that is missing.
"""


@dataclass(frozen=True)
class Registry:
    """A registry and the team's part of it. `authfile` has what logs in to it; without one, the user's own is used."""

    address: str
    team: str
    authfile: Path | None = None

    def image(self, name: str) -> str:
        """Return the address of an image, without a tag."""
        return f"{self.address}/{self.team}/{name}"

    def tagged(self, name: str, tag: str) -> str:
        """Return the address of an image with a tag."""
        return f"{self.image(name)}:{tag}"

    @property
    def is_local(self) -> bool:
        """Return whether it is on this machine, where a registry has no TLS."""
        return self.address.partition("/")[0].rpartition(":")[0] in LOOPBACK

    def options(self, side: str = "") -> list[str]:
        """Return skopeo's and buildah's options for this registry; for a copy, `side` is `src-` or `dest-`."""
        options = []
        if self.authfile is not None:
            options.append(f"--{side}authfile={self.authfile}")
        if self.is_local:
            options.append(f"--{side}tls-verify=false")
        return options

    def digest(self, name: str, tag: str) -> str | None:
        """Return the digest of an image, with all its platforms; None if the registry does not have it.

        Raises:
            RegistryError: the registry does not answer, or says no.
        """
        address = f"docker://{self.tagged(name, tag)}"
        done = finish(["skopeo", "inspect", "--raw", RETRIES, *self.options(), address], what="skopeo inspect")
        if done.code == 0:
            return f"sha256:{sha256(done.stdout).hexdigest()}"
        if NOT_THERE.search(done.complaint):
            return None
        reasons = done.complaint.splitlines() or ["skopeo gave no reason"]
        raise RegistryError(f"the registry {self.address}: {reasons[-1]}")

    def prepare(self, name: str) -> None:
        """Make a place for an image, where the registry wants that.

        Raises:
            RegistryError: it can't be made.
        """
        if ecr.region_of(self.address):
            # An address may have a path, as ECR's pull-through and shared registries do.
            path = self.image(name).partition("/")[2]
            ecr.ensure_repository(self.address, path)


def login(address: str, others: Iterable[str], team: str, folder: Path) -> list[Registry]:
    """Return registries, logged in to those in ECR; skopeo and buildah log in to others by themselves.

    Raises:
        RegistryError: AWS does not let us in.
    """
    addresses = [address, *others]
    authfile = _log_in_to_ecr(addresses, folder)
    return [Registry(registry, team, authfile) for registry in addresses]


def _log_in_to_ecr(addresses: Iterable[str], folder: Path) -> Path | None:
    """Write what logs in to those of the registries that are in ECR; None if none is."""
    logins: dict[str, dict[str, str]] = {}
    for address in addresses:
        host = address.partition("/")[0]
        if ecr.region_of(host) and host not in logins:
            logins[host] = {"auth": ecr.authorization(host)}
    if not logins:
        return None
    authfile = folder / "auth.json"
    authfile.touch(mode=0o600)
    authfile.write_text(json.dumps({"auths": logins}))
    return authfile


def copy(source: Registry, target: Registry, name: str, tag: str, digest: str) -> None:
    """Copy an image with all its platforms, unchanged.

    Raises:
        ProgramError: a registry refused.
    """
    options = [*source.options("src-"), *target.options("dest-")]
    _copy([*options, f"docker://{source.image(name)}@{digest}"], target, name, tag, f"copying {name}")


def push(layout: Path, target: Registry, name: str, tag: str) -> None:
    """Push an image with all its platforms from an OCI layout, unchanged.

    Raises:
        ProgramError: the registry refused, or a part of the layout has not the digest that it is named by.
    """
    _copy([*target.options("dest-"), f"oci:{layout}:{tag}"], target, name, tag, f"pushing {name}")


def _copy(arguments: list[str], target: Registry, name: str, tag: str, step: str) -> None:
    command = ["skopeo", "copy", "--quiet", "--all", "--preserve-digests", RETRIES]
    run([*command, *arguments, f"docker://{target.tagged(name, tag)}"], what=step)
