"""The Go programs of the platform: built once from `gomod/`, kept in a cache keyed by what they are built from."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from jobyard_cli.cli.steps import Step
from jobyard_cli.go.modules import ARGOCD, GOMOD, KARPENTER, KUEUE, KWOK, TRAINER, module_folder, pinned_version
from jobyard_cli.go.toolchain import ENVIRONMENT, GO_VERSION, go_command, link_flags
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import run, stream

PROGRAMS = {
    "argocd": "./argocd",
    "etcd": "go.etcd.io/etcd/server/v3",
    "karpenter": "./karpenter",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-state-metrics": "k8s.io/kube-state-metrics/v2",
    "kubelet": "./kubelet",
    "kueue": f"{KUEUE}/cmd/kueue",
    "kwok": f"{KWOK}/cmd/kwok",
    "pause": "./pause",
    "versitygw": "./versitygw",
}
"""Each program's main package."""

ROLES = {
    "argocd": ("argocd-repo-server", "argocd-application-controller", "argocd-applicationset-controller"),
}
"""Programs that do several things, by the name that each is called by."""

TAGS = ("exclude_scheduler_library",)
"""Kueue's own tag for a build without a library that is made for another Kubernetes, and is not used by default."""

LEFT_OUT = (TRAINER, "pkg/apis/trainer/v1alpha1/zz_generated.openapi.go")
"""A file of a module that Kueue imports: it is made for another Kubernetes too, and nothing calls what is in it."""

LAYOUT = 1
"""Part of the cache's key. Raise it when `ensure` puts other files beside the programs."""

LINKING_SHARE = 0.05
"""What linking the programs takes of the time, at the end: the toolchain does not say how far it is."""

Sources = dict[str, int]
"""Packages still to compile: by import path, the bytes of their source."""


def ensure(cache: Path, step: Step) -> Path:
    """Return the folder with every program, built first if the cache lacks it.

    Raises:
        CommandFailed: a download or a build failed; the message ends with the Go toolchain's own words.
    """
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / "bin" / cache_key()
    with one_builder(cache / "bin.lock"):
        if not target.exists():
            _build(target, step)
    return target


def cache_key() -> str:
    """Return a short key of what the programs are built from: pins, main packages, flags, and accompanying files."""
    parts = (LAYOUT, PROGRAMS, ROLES, TAGS, LEFT_OUT, _link_flags(), ENVIRONMENT, GO_VERSION)
    digest = hashlib.sha256(repr(parts).encode())
    for path in sorted(GOMOD.rglob("*")):
        if path.is_file() and path.name != "tools.go":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _build(target: Path, step: Step) -> None:
    """Build the programs and what goes along with them into a folder, all or nothing."""
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    go = go_command(step)
    step("reading the sources, downloading those that are missing")
    modules = target.with_suffix(".modules")
    flags = [f"-tags={','.join(TAGS)}", f"-modfile={_leave_out(go, modules)}"]
    sources = _find_sources(go, flags)
    _compile(go, flags, sources, partial, step)
    shutil.rmtree(modules)
    for program, roles in ROLES.items():
        for role in roles:
            (partial / role).symlink_to(program)
    _copy_argocd_files(go, partial)
    _copy_karpenter_files(go, partial)
    _copy_kueue_manifests(go, partial)
    _copy_kwok_stages(go, partial)
    partial.rename(target)


def _leave_out(go: Sequence[str], folder: Path) -> Path:
    """Write into a folder the module without the file, and return a go.mod that is `gomod/`'s but for it.

    The toolchain has a flag that replaces files, but not those of modules that it has downloaded itself.
    """
    module, file = LEFT_OUT
    shutil.rmtree(folder, ignore_errors=True)
    source, copy = module_folder(go, module), folder / "module"
    _copy_files(source, copy, "go.mod")
    _copy_files(source / "pkg", copy / "pkg", "*")
    (copy / file).unlink()
    shutil.copyfile(GOMOD / "go.sum", folder / "go.sum")
    replaced = f"\nreplace {module} => {json.dumps(str(copy))}\n"
    (folder / "go.mod").write_text((GOMOD / "go.mod").read_text() + replaced)
    return folder / "go.mod"


def _find_sources(go: Sequence[str], flags: Sequence[str]) -> Sources:
    """Return the sources that Go's own cache lacks; modules that are not on this machine are downloaded."""
    # A program's own package counts as stale wherever the program is not installed.
    template = '{{if and .Stale (ne .Name "main")}}{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles "\t"}}{{end}}'
    command = [*go, "list", *flags, "-deps", "-f", template, *PROGRAMS.values()]
    listed = run(command, what="downloading the sources", cwd=GOMOD, environment=ENVIRONMENT)
    sources: Sources = {}
    for line in listed.splitlines():
        package, folder, *files = line.split("\t")
        sources[package] = sum(Path(folder, file).stat().st_size for file in files if file)
    return sources


def _compile(go: Sequence[str], flags: Sequence[str], sources: Sources, target: Path, step: Step) -> None:
    total_bytes = max(1, sum(sources.values())) / (1 - LINKING_SHARE)
    begun: Sources = {}

    def follow(line: str) -> None:
        # The toolchain names each package as it begins with it.
        if line in sources:
            begun[line] = sources[line]
        show()

    def show() -> None:
        counted = f"{len(begun):,} of {len(sources):,} packages compiled"
        doing = counted if len(begun) < len(sources) else "linking the programs"
        step.progress(sum(begun.values()) / total_bytes, doing)

    show()
    link = ["-ldflags", _link_flags(), "-o", f"{target}/"]
    build = [*go, "build", "-v", *flags, *link, *PROGRAMS.values()]
    stream(build, follow, what="building the programs", environment=ENVIRONMENT, cwd=GOMOD)
    for name, package in PROGRAMS.items():
        _built(target, package).rename(target / name)


def _built(folder: Path, package: str) -> Path:
    """Return the program; Go names it by its package's last element, without a major version."""
    last, *above = reversed(package.split("/"))
    return folder / (above[0] if re.fullmatch(r"v\d+", last) else last)


def _link_flags() -> str:
    return link_flags(pinned_version("k8s.io/kubernetes"))


def _copy_argocd_files(go: Sequence[str], target: Path) -> None:
    """Argo CD's custom resource definitions and the wrappers it expects on PATH, which its module carries as files."""
    source = module_folder(go, ARGOCD)
    crds = target / "argocd-crds"
    crds.mkdir()
    for crd in sorted((source / "manifests" / "crds").glob("*-crd.yaml")):
        shutil.copyfile(crd, crds / crd.name)
    for wrapper in ("git-verify-wrapper.sh", "gpg-wrapper.sh"):
        shutil.copyfile(source / "hack" / wrapper, target / wrapper)
        (target / wrapper).chmod(0o755)


def _copy_karpenter_files(go: Sequence[str], target: Path) -> None:
    """Karpenter's kinds, those of simulated machines among them, and its list of EC2's machines."""
    source = module_folder(go, KARPENTER)
    for folder in ("pkg/apis/crds", "kwok/apis/crds"):
        _copy_files(source / folder, target / "karpenter-crds", "*.yaml")
    shutil.copyfile(source / "kwok/examples/aws_instance_types.json", target / "karpenter-instance-types.json")


def _copy_kueue_manifests(go: Sequence[str], target: Path) -> None:
    """Kueue's own manifests, in the parts that kustomize puts together."""
    source = module_folder(go, KUEUE) / "config"
    for part in ("components", "default"):
        _copy_files(source / part, target / "kueue-config" / part, "*.yaml")


def _copy_files(source: Path, target: Path, pattern: str) -> None:
    """Copy the files of this name below a folder, without the permissions, with which a module's can't be removed."""
    for path in sorted(source.rglob(pattern)):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _copy_kwok_stages(go: Sequence[str], target: Path) -> None:
    """What a simulated node and the pods on it do, step by step, as kwok's module has it."""
    stages = module_folder(go, KWOK) / "kustomize" / "stage"
    chosen = [
        *(stages / "node" / "fast").glob("*.yaml"),
        *(stages / "node" / "heartbeat-with-lease").glob("*.yaml"),
    ]
    chosen += (stages / "pod" / "fast").glob("*.yaml")
    texts = [path.read_text() for path in sorted(chosen) if path.name != "kustomization.yaml"]
    (target / "kwok-stages.yaml").write_text("\n---\n".join(texts))
