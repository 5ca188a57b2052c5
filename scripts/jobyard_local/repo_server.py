"""Argo CD's repository server, which renders what a team may write: with the bounds that `argocd/` has for all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

from jobyard_local.layout import Layout
from jobyard_local.processes import Process, listens

SUBMODULES = "ARGOCD_GIT_MODULES_ENABLED"
SETTINGS = Path(__file__).resolve().parents[2] / "argocd"
"""What every Argo CD with Jobyard's teams is set to: ConfigMaps, and `helm` with its bounds."""
VARIABLES = {
    "reposerver.enable.git.submodule": SUBMODULES,
    "reposerver.git.request.timeout": "ARGOCD_GIT_REQUEST_TIMEOUT",
    "reposerver.max.combined.directory.manifests.size": "ARGOCD_REPO_SERVER_MAX_COMBINED_DIRECTORY_MANIFESTS_SIZE",
    "reposerver.parallelism.limit": "ARGOCD_REPO_SERVER_PARALLELISM_LIMIT",
}
"""Argo CD's own Deployment hands these keys of `argocd-cmd-params-cm` to the server as these variables."""
MEMORY_BYTES = 2 << 30
"""Of the server and, each for itself, of what it starts; `helm` has less."""


def settings(name: str) -> dict[str, str]:
    """Return the data of one of the ConfigMaps."""
    data: dict[str, str] = yaml.safe_load((SETTINGS / f"{name}.yaml").read_text())["data"]
    return data


def process(layout: Layout) -> Process:
    """Return the server of one platform."""
    port = layout.ports["repo-server"]
    command = [
        "prlimit",
        f"--data={MEMORY_BYTES}",
        layout.tool("argocd-repo-server"),
        "--address=127.0.0.1",
        f"--port={port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={layout.ports['repo-server-metrics']}",
        "--disable-tls",
        "--client-ca-path=",
        "--loglevel=warn",
        f"--redis=127.0.0.1:{layout.ports['redis']}",
    ]
    return Process("argocd-repo-server", command, listens("127.0.0.1", port), _environment(layout))


def _environment(layout: Layout) -> dict[str, str]:
    parameters = settings("argocd-cmd-params-cm")
    # Without it every server on the machine would take /tmp's, and the last one answer git for all of them.
    socket = layout.state / "argocd" / "askpass.sock"
    bounds = {variable: parameters[key] for key, variable in VARIABLES.items()}
    return {**environment(layout), **bounds, "ARGOCD_ASK_PASS_SOCK": str(socket)}


def environment(layout: Layout) -> dict[str, str]:
    """Return the environment variables of Argo CD's processes."""
    # helm is in the environment's own bin folder, Argo CD's wrappers are among the built tools.
    path = [str(SETTINGS), str(layout.tools), str(Path(sys.executable).parent), os.environ["PATH"]]
    scratch = layout.state / "argocd"
    scratch.mkdir(parents=True, exist_ok=True)
    return {"PATH": os.pathsep.join(path), "ARGOCD_GPG_ENABLED": "false", "TMPDIR": str(scratch), "HOME": str(scratch)}
