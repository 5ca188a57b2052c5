"""buildah, which builds an image for several processors: from anybody's Dockerfile, so with as little as it needs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.images.errors import UnsafeMountError
from jobyard_cli.images.sources import Source, dockerfile
from jobyard_cli.system.programs import Report, finish, run, stream

DROPPED = "CAP_SYS_CHROOT"
"""What buildah gives a RUN step by default, and with which a second chroot leaves the one that the step is in."""
PASSED = (
    *("PATH", "HOME", "TMPDIR", "LANG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    *("BUILDAH_ISOLATION", "STORAGE_DRIVER", "STORAGE_OPTS", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"),
    *("CONTAINERS_REGISTRIES_CONF", "REGISTRY_AUTH_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that buildah gets; what else the pipeline has, such as tokens, it does not."""
SAFE_MOUNTS = (1, 38, 1)
"""The buildah whose `RUN --mount` stays in the image and the build context (CVE-2024-1753, -9407, -9675, -11218)."""
VERSION = re.compile(r"version (\d+)\.(\d+)\.(\d+)")
CONTINUED = re.compile(r"[\\`][ \t]*\n(\s*#[^\n]*\n|[ \t]*\n)*")


def build(context: Path, name: str, tag: str, platforms: Sequence[str], layout: Path, report: Report) -> None:
    """Build the Dockerfile in a folder for each platform, into an OCI layout in which the image has its tag.

    Raises:
        ProgramError: a step failed; the message ends with that step's output.
    """
    # Two commands may build at once. buildah adds to a list that is there, so each has its own.
    listed = f"localhost/jobyard/{name}:{tag}-{os.getpid()}"
    _forget(listed)
    options = ["--layers", f"--manifest={listed}", f"--platform={','.join(platforms)}", f"--cap-drop={DROPPED}"]
    command = ["buildah", "build", *options, str(context)]
    try:
        stream(command, report, what=f"building {name}", environment=_environment(), cwd=context, alone=True)
        report("packing")
        run(["buildah", "manifest", "push", "--all", "--quiet", listed, f"oci:{layout}:{tag}"], what=f"packing {name}")
    finally:
        _forget(listed)


def check_mounts(root: Path, sources: Sequence[Source]) -> None:
    """Make sure that no Dockerfile has a `RUN --mount` that an old buildah lets read this machine's files.

    Raises:
        UnsafeMountError: some have.
    """
    mounting = [source.name for source in sources if "--mount" in CONTINUED.sub("", dockerfile(root, source))]
    if mounting and (version := _version()) < SAFE_MOUNTS:
        raise UnsafeMountError(mounting, version, SAFE_MOUNTS)


def _version() -> tuple[int, ...]:
    found = VERSION.search(run(["buildah", "--version"], what="buildah --version"))
    return tuple(int(part) for part in found.groups()) if found else (0,)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED if name in os.environ}


def _forget(listed: str) -> None:
    """Take the list out of buildah's storage; the layers stay, for the next build."""
    finish(["buildah", "manifest", "rm", listed], deadline=300)
