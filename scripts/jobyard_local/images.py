"""Builds the jobs' images from their Dockerfiles with buildah, and pushes them to the platform's registry."""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path

from jobyard_cli.system.errors import ProgramError
from jobyard_cli.system.programs import Report, run

BASE_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
BASE_PACKAGES = "ca-certificates,python3,python3-pip"
# What the official image has and Debian's packages name or do otherwise.
BASE_CUSTOMISATION = (
    'ln -s python3 "$1/usr/bin/python"',
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
    'rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/* "$1"/var/lib/apt/lists/*',
)


class Builder:
    """buildah with a storage of its own in `cache`, so that unchanged layers are not built twice."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        storage = cache / "images"
        self._buildah = ["buildah", "--root", str(storage / "root"), "--runroot", str(storage / "run")]
        self._storage = storage

    def ensure_base(self, report: Report) -> None:
        """Make Debian 12 with its own Python 3.11 stand for the official Python image, whose registry is not reached.

        The two have the same Debian and the same minor version of Python; the Dockerfiles that start from it are used
        as they are. Where buildah has the image already, that one is used.

        Raises:
            ProgramError: mmdebstrap or the import failed.
        """
        if self._has(BASE_IMAGE):
            return
        recipe = repr((BASE_PACKAGES, BASE_CUSTOMISATION))
        tarball = self.cache / f"base-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
        if not tarball.exists():
            report("installing Debian 12 and Python into the base image")
            partial = tarball.with_suffix(".partial.tar")
            hooks = [f"--customize-hook={command}" for command in BASE_CUSTOMISATION]
            command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={BASE_PACKAGES}", *hooks]
            run([*command, "bookworm", partial], what="mmdebstrap")
            partial.rename(tarball)
        report("importing the base image")
        self._import(tarball)

    def _has(self, image: str) -> bool:
        try:
            self._run("inspect", "--type", "image", image)
        except ProgramError:
            return False
        return True

    def _import(self, tarball: Path) -> None:
        container = self._run("from", "scratch").strip()
        self._run("add", "--quiet", container, str(tarball), "/")
        self._run("config", "--cmd", "python3", "--env", "LANG=C.UTF-8", container)
        self._run("commit", "--quiet", "--rm", container, BASE_IMAGE)

    def build(self, context: Path, tag: str, report: Report, *, pull: bool = False) -> None:
        """Build the Dockerfile in a folder; with `pull`, a base image that is not here is fetched from its registry.

        Raises:
            ProgramError: a step failed; the message ends with that step's output.
        """
        report(f"building {context.name}")
        # buildah's `false` pulls what is missing, and nothing else.
        policy = "false" if pull else "never"
        options = ["--isolation=chroot", f"--pull={policy}", "--layers", "--quiet", f"--tag={tag}"]
        volumes = [f"--volume={host}:{inside}:ro" for host, inside in pip_files()]
        self._run("build", *options, *volumes, str(context))

    def push(self, tag: str, destination: str) -> str:
        """Push to a registry on this machine and return the URL that names the image by its digest.

        Raises:
            ProgramError: the registry refused.
        """
        digest_file = self._storage / "digest"
        # On loopback time counts more than size, hence the low compression.
        options = ["--quiet", "--tls-verify=false", "--compression-level=1", f"--digestfile={digest_file}"]
        self._run("push", *options, tag, f"docker://{destination}")
        return f"{destination.rpartition(':')[0]}@{digest_file.read_text().strip()}"

    def _run(self, *arguments: str) -> str:
        return run([*self._buildah, *arguments], what=f"buildah {arguments[0]} {arguments[-1]}")


def pip_files() -> list[tuple[Path, str]]:
    """Return this machine's certificates and pip settings, mounted during RUN so that the image does not have them."""
    files = []
    authorities = Path(ssl.get_default_verify_paths().cafile or CERTIFICATES)
    if authorities.exists():
        files.append((authorities.resolve(), CERTIFICATES))
    for name in ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf", os.environ.get("PIP_CONFIG_FILE", "")):
        if name and (path := Path(name).expanduser()).is_file():
            files.append((path, "/etc/pip.conf"))
            break
    return files
