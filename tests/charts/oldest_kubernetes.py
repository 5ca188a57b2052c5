"""The kube-apiserver of the oldest Kubernetes that the charts are for, from the Go modules pinned in `oldest/`."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from jobyard_cli.go import toolchain
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

PINS = Path(__file__).parent / "oldest"
PACKAGE = "k8s.io/kubernetes/cmd/kube-apiserver"


def version() -> str:
    """Such as v1.32.13."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (PINS / "go.mod").read_text())
    assert found
    return found[1]


def oldest_programs(cache: Path, programs: Path, report: Report) -> Path:
    """A folder with that kube-apiserver, built first where the cache does not have it, and all else as in `programs`.

    Raises:
        ProgramError: a download or the build failed.
    """
    built = cache / "oldest" / _key()
    with one_builder(cache / "oldest.lock"):
        if not built.exists():
            _build(built, report)
    folder = built / "with" / programs.name
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name in ("etcd", "kubectl", "argocd-crds", "kueue-config"):
            (partial / name).symlink_to(programs / name)
        (partial / "kube-apiserver").symlink_to(built / "kube-apiserver")
        partial.rename(folder)
    return folder


def _build(target: Path, report: Report) -> None:
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    report(f"kube-apiserver {version()}, from source")
    command = [*toolchain.go_command(report), "build", "-ldflags", toolchain.link_flags(version()), "-o", f"{partial}/"]
    run([*command, PACKAGE], what="building the oldest kube-apiserver", cwd=PINS, environment=toolchain.ENVIRONMENT)
    partial.rename(target)


def _key() -> str:
    digest = hashlib.sha256(repr((PACKAGE, toolchain.link_flags(version()), toolchain.ENVIRONMENT)).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((PINS / name).read_bytes())
    return digest.hexdigest()[:12]
