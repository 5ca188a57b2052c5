"""The Go module that pins what is built from source: `gomod/`, with the main packages that are ours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.go.toolchain import ENVIRONMENT
from jobyard_cli.system.programs import run

GOMOD = Path(__file__).parent / "gomod"
"""One module for all programs: packages that several of them import are compiled once."""

ARGOCD = "github.com/argoproj/argo-cd/v3"
KARPENTER = "sigs.k8s.io/karpenter"
KUEUE = "sigs.k8s.io/kueue"
KWOK = "sigs.k8s.io/kwok"
TRAINER = "github.com/kubeflow/trainer/v2"


def pinned_version(module: str) -> str:
    """Return the version that go.mod requires of a module, such as v1.37.2."""
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", (GOMOD / "go.mod").read_text(), re.M)
    assert match, f"{module} is not in {GOMOD}/go.mod"
    return match[1]


def module_folder(go: Sequence[str], module: str) -> Path:
    """Return the folder with the sources of a required module; download them if necessary.

    Raises:
        ProgramError: the download failed.
    """
    command = [*go, "mod", "download", "-json", module]
    answer: dict[str, str] = json.loads(run(command, what=f"fetching {module}", cwd=GOMOD, environment=ENVIRONMENT))
    return Path(answer["Dir"])
