"""buildah, which builds an image for several processors and pushes it as one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.container_images.registry import Registry
from jobyard_cli.local.shell import Report, run, stream


def build(context: Path, name: str, tag: str, platforms: Sequence[str], report: Report) -> str:
    """Build the Dockerfile in a folder for each platform; the name of the list of them in buildah's storage.

    Raises:
        CommandFailed: a step failed; the message ends with that step's output.
    """
    # Two commands may build at once. buildah adds to a list that is there, so each has its own.
    listed = f"localhost/jobyard/{name}:{tag}-{os.getpid()}"
    forget(listed)
    options = ["--layers", f"--manifest={listed}", f"--platform={','.join(platforms)}"]
    command = ["buildah", "build", *options, str(context)]
    stream(command, report, what=f"building {name}", environment={}, cwd=context)
    return listed


def push(listed: str, registry: Registry, name: str, tag: str, digest_file: Path) -> str:
    """Push an image with all its platforms, and return its digest.

    Raises:
        CommandFailed: the registry refused.
    """
    options = ["--all", "--quiet", f"--digestfile={digest_file}", *registry.options()]
    run(
        ["buildah", "manifest", "push", *options, listed, f"docker://{registry.image(name)}:{tag}"],
        what=f"pushing {name}",
    )
    return digest_file.read_text().strip()


def forget(listed: str) -> None:
    """Take the list out of buildah's storage; the layers stay, for the next build."""
    subprocess.run(["buildah", "manifest", "rm", listed], capture_output=True, check=False)
