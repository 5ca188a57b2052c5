"""Files of Karpenter and eksctl that say what each accepts, from their Go modules, pinned in `upstream/`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from jobyard_cli.go import toolchain
from jobyard_cli.system.programs import Report, run

PINS = Path(__file__).parent / "upstream"
KARPENTER = "github.com/aws/karpenter-provider-aws"
EKSCTL = "github.com/weaveworks/eksctl"
FILES = {
    # Karpenter's own kind, with the rules that its provider for AWS adds: what its chart installs on EKS.
    "karpenter.sh_nodepools.yaml": (KARPENTER, "pkg/apis/crds/karpenter.sh_nodepools.yaml"),
    "karpenter.k8s.aws_ec2nodeclasses.yaml": (KARPENTER, "pkg/apis/crds/karpenter.k8s.aws_ec2nodeclasses.yaml"),
    "vpclimits.go": (KARPENTER, "pkg/providers/instancetype/zz_generated.vpclimits.go"),
    "eksctl.schema.json": (EKSCTL, "pkg/apis/eksctl.io/v1alpha5/assets/schema.json"),
}


def upstream_files(cache: Path, report: Report) -> Path:
    """The folder with these files, fetched first where the cache does not have it.

    Raises:
        ProgramError: a download failed, or what came has another checksum than go.sum has.
    """
    target = cache / "upstream" / _key()
    if target.exists():
        return target
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    report("fetching what Karpenter and eksctl accept")
    go = toolchain.go_command(report)
    modules = {path: download(go, path, version, PINS) for path, version in _pins()}
    for name, (module, file) in FILES.items():
        shutil.copyfile(modules[module] / file, partial / name)
    partial.rename(target)
    return target


def _key() -> str:
    digest = hashlib.sha256(repr(FILES).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((PINS / name).read_bytes())
    return digest.hexdigest()[:12]


def _pins() -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"^\t(\S+) (v\S+)$", (PINS / "go.mod").read_text(), re.MULTILINE):
        yield found[1], found[2]


def download(go: list[str], path: str, version: str, pins: Path) -> Path:
    """Where Go puts one module's files; with its version given, none of what it depends on is read.

    Raises:
        ProgramError: the download failed, or what came has another checksum than go.sum in `pins` has.
    """
    command = [*go, "mod", "download", "-json", f"{path}@{version}"]
    environment = {"GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    answer = json.loads(run(command, what=f"fetching {path}", cwd=pins, environment=environment))
    return Path(answer["Dir"])
