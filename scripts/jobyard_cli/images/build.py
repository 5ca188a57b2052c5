"""buildah, which builds an image for several processors: from anybody's Dockerfile, so with as little as it needs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.images.errors import UnsafeMountError
from jobyard_cli.images.sources import Source, dockerfile
from jobyard_cli.system.programs import Report, finish, run, stream
from jobyard_cli.system.versions import version_in

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
CONTINUED = re.compile(r"[\\`][ \t]*\n(\s*#[^\n]*\n|[ \t]*\n)*")


def build(context: Path, name: str, tag: str, platforms: Sequence[str], layout: Path, report: Report) -> None:
    """Build the Dockerfile in a folder for each platform, into an OCI layout in which the image has its tag.

    Raises:
        ProgramError: a step failed; the message ends with that step's output.
    """
    # Two commands may build at once. buildah adds to a list that is there, so each has its own.
    manifest = f"localhost/jobyard/{name}:{tag}-{os.getpid()}"
    _forget(manifest)
    options = ["--layers", f"--manifest={manifest}", f"--platform={','.join(platforms)}", f"--cap-drop={DROPPED}"]
    command = ["buildah", "build", *options, str(context)]
    try:
        stream(command, report, what=f"building {name}", environment=_environment(), cwd=context, alone=True)
        report("packing")
        packing = ["buildah", "manifest", "push", "--all", "--quiet", manifest, f"oci:{layout}:{tag}"]
        run(packing, what=f"packing {name}")
    finally:
        _forget(manifest)


def check_mounts(root: Path, sources: Sequence[Source]) -> None:
    """Make sure that no Dockerfile has a `RUN --mount` that an old buildah lets read this machine's files.

    Raises:
        UnsafeMountError: some have.
    """
    mounting: list[str] = []
    for source in sources:
        # A word may go on in the next line.
        if "--mount" in CONTINUED.sub("", dockerfile(root, source)):
            mounting.append(source.name)
    if not mounting:
        return
    version = version_in(run(["buildah", "--version"], what="buildah --version"))
    if version < SAFE_MOUNTS:
        raise UnsafeMountError(mounting, version, SAFE_MOUNTS)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED if name in os.environ}


def _forget(manifest: str) -> None:
    """Take the list of images out of buildah's storage; the layers stay, for the next build."""
    finish(["buildah", "manifest", "rm", manifest], deadline=300)
