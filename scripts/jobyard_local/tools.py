"""The Go programs of the platform: built once from `gomod/`, kept in a cache keyed by what they are built from."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from jobyard_cli.go.modules import ARGOCD, KUBERNETES, Module
from jobyard_cli.go.toolchain import ENVIRONMENT, go_command
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run, stream

KWOK = Module("kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"})
VERSITYGW = Module("versitygw", {"versitygw": "github.com/versity/versitygw/cmd/versitygw"})
PAUSE = Module("pause", {"pause": "pause"})
ALL = (KUBERNETES, KWOK, VERSITYGW, PAUSE)

# Argo CD is one program that takes its role from the name it is called by.
ARGOCD_ROLES = ("argocd-repo-server", "argocd-application-controller", "argocd-applicationset-controller")


def ensure(cache: Path, report: Report) -> Path:
    """The folder with every program, built first where the cache does not have it.

    Raises:
        CommandFailed: a download or a build failed; the message ends with the Go toolchain's own words.
    """
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / "bin" / _key(*ALL)
    with one_builder(cache / "bin.lock"):
        if not target.exists():
            _assemble(target, [_build(module, cache, report) for module in ALL])
    return target


def _build(module: Module, cache: Path, report: Report) -> Path:
    """Build one module's programs into a folder of its own, all or nothing."""
    target = cache / "go" / f"{module.name}-{_key(module)}"
    if target.exists():
        return target
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    go = go_command(report)
    report(f"downloading the sources of {module.name}")
    run(
        [*go, "mod", "download"],
        what=f"downloading {module.name}",
        cwd=module.folder,
        environment=ENVIRONMENT,
    )
    _compile(module, go, partial, report)
    if module is KUBERNETES:
        _copy_argocd_files(go, partial)
    if module is KWOK:
        _copy_kwok_stages(go, partial)
    partial.rename(target)
    return target


def _compile(module: Module, go: list[str], target: Path, report: Report) -> None:
    packages = list(module.programs.values())
    total = len(run([*go, "list", "-deps", *packages], cwd=module.folder, environment=ENVIRONMENT).splitlines())
    compiled = 0

    def count(_line: str) -> None:
        nonlocal compiled
        compiled += 1
        report(f"{module.name}: {compiled} of {total} packages compiled")

    build = [
        *go,
        "build",
        "-v",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        _link_flags(module),
        "-o",
        f"{target}/",
    ]
    stream(
        [*build, *packages],
        count,
        what=f"building {module.name}",
        environment=ENVIRONMENT,
        cwd=module.folder,
    )
    for name, package in module.programs.items():
        _built(target, package).rename(target / name)


def _built(folder: Path, package: str) -> Path:
    """Go names a program by its package's last element, leaving out a major version."""
    last, *above = reversed(package.split("/"))
    return folder / (above[0] if re.fullmatch(r"v\d+", last) else last)


def _link_flags(module: Module) -> str:
    if module is not KUBERNETES:
        return "-s -w"
    # Without its version linked in, the API server calls itself v0.0.0 and clients refuse to talk to it.
    version = module.version("k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())])


def _copy_argocd_files(go: list[str], target: Path) -> None:
    """Argo CD's custom resource definitions and the wrappers it expects on PATH, which its module carries as files."""
    source = _module_folder(go, KUBERNETES, ARGOCD)
    crds = target / "argocd-crds"
    crds.mkdir()
    for crd in sorted((source / "manifests" / "crds").glob("*-crd.yaml")):
        shutil.copyfile(crd, crds / crd.name)
    for wrapper in ("git-verify-wrapper.sh", "gpg-wrapper.sh"):
        shutil.copyfile(source / "hack" / wrapper, target / wrapper)
        (target / wrapper).chmod(0o755)


def _copy_kwok_stages(go: list[str], target: Path) -> None:
    """What a simulated node and the pods on it do, step by step, as kwok's module has it."""
    stages = _module_folder(go, KWOK, "sigs.k8s.io/kwok") / "kustomize" / "stage"
    chosen = [
        *(stages / "node" / "fast").glob("*.yaml"),
        *(stages / "node" / "heartbeat-with-lease").glob("*.yaml"),
    ]
    chosen += (stages / "pod" / "fast").glob("*.yaml")
    texts = [path.read_text() for path in sorted(chosen) if path.name != "kustomization.yaml"]
    (target / "kwok-stages.yaml").write_text("\n---\n".join(texts))


def _module_folder(go: list[str], module: Module, path: str) -> Path:
    """Where the sources of a required Go module are."""
    found = run([*go, "list", "-m", "-f", "{{.Dir}}", path], cwd=module.folder, environment=ENVIRONMENT)
    return Path(found.strip())


def _assemble(target: Path, modules: list[Path]) -> None:
    """One folder of links to every module's programs, so that one PATH entry reaches them all."""
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for module in modules:
        for entry in module.iterdir():
            (partial / entry.name).symlink_to(entry)
    for role in ARGOCD_ROLES:
        (partial / role).symlink_to("argocd")
    partial.rename(target)


def _key(*modules: Module) -> str:
    # This module is part of the key: it says which files go along with the programs.
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for module in modules:
        digest.update(repr((module.programs, _link_flags(module))).encode())
        for path in sorted(module.folder.iterdir()):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
