"""How the platform's programs are built, with a stand-in for the Go toolchain."""

from __future__ import annotations

import io
import re
import shutil
import sys
from pathlib import Path

import pytest
from jobyard_cli.cli import steps as shown
from jobyard_cli.cli.steps import Steps
from jobyard_cli.go.modules import GOMOD, KUEUE, pinned_version
from jobyard_local import tools
from jobyard_local.tools import PROGRAMS, ROLES, cache_key, ensure
from rich.console import Console

from tests.support.paths import ROOT

GO = """\
import json, sys
from pathlib import Path

here, command, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
if command == "list":
    print(f"example.com/large\\t{here}\\tlarge.go")
    print(f"example.com/small\\t{here}\\tsmall.go")
elif command == "mod":
    print(json.dumps({"Dir": str(here / "module")}))
else:
    (here / "builds").open("a").write("one\\n")
    for line in ("go: a remark", "example.com/small", "example.com/large"):
        print(line)
    target = Path(words[words.index("-o") + 1])
    for name in ("argocd", "server", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
                 "kube-state-metrics", "kubectl", "kubelet", "kueue", "kwok", "pause", "versitygw"):
        (target / name).write_text(name)
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in, which counts its builds in the file `builds`."""
    folder = tmp_path / "go"
    module = folder / "module"
    (module / "manifests" / "crds").mkdir(parents=True)
    (module / "manifests" / "crds" / "application-crd.yaml").write_text("kind: CustomResourceDefinition\n")
    (module / "hack").mkdir()
    for wrapper in ("git-verify-wrapper.sh", "gpg-wrapper.sh"):
        (module / "hack" / wrapper).write_text("#!/bin/sh\n")
    for part in ("default", "components/crd/bases"):
        (module / "config" / part).mkdir(parents=True)
        (module / "config" / part / "one.yaml").write_text("kind: Namespace\n")
    left_out = module / tools.LEFT_OUT[1]
    left_out.parent.mkdir(parents=True)
    left_out.write_text("package v1alpha1\n")
    (module / "go.mod").write_text("module example.com/module\n")
    stages = module / "kustomize" / "stage"
    for stage in ("node/fast", "node/heartbeat-with-lease", "pod/fast"):
        (stages / stage).mkdir(parents=True)
        (stages / stage / "stage.yaml").write_text(f"name: {stage}")
    (folder / "large.go").write_text("x" * 900)
    (folder / "small.go").write_text("x" * 100)
    (folder / "go.py").write_text(GO)
    command = [sys.executable, str(folder / "go.py"), str(folder)]
    monkeypatch.setattr(tools, "go_command", lambda _report: command)
    return folder


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def steps(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Print whatever a step says."""
    monkeypatch.setattr(shown, "QUIET_SECONDS", -1)
    return Steps(Console(file=log, width=shown.LOG_WIDTH, force_terminal=False))


def test_every_program_and_role_lies_in_one_folder(go: Path, steps: Steps, tmp_path: Path) -> None:
    with steps.step("programs") as step:
        built = ensure(tmp_path / "cache", step)
    assert {name for name in PROGRAMS if (built / name).is_file()} == set(PROGRAMS)
    for program, roles in ROLES.items():
        assert {(built / role).resolve() for role in roles} == {built / program}
    assert (built / "argocd-crds" / "application-crd.yaml").is_file()
    manifests = built / "kueue-config"
    assert [(manifests / part / "one.yaml").is_file() for part in ("default", "components/crd/bases")] == [True, True]
    assert (built / "kwok-stages.yaml").read_text() == (
        "name: node/fast\n---\nname: node/heartbeat-with-lease\n---\nname: pod/fast"
    )


def test_what_is_there_is_not_built_again(go: Path, steps: Steps, tmp_path: Path) -> None:
    for _ in range(2):
        with steps.step("programs") as step:
            ensure(tmp_path / "cache", step)
    assert (go / "builds").read_text() == "one\n"


def test_one_count_goes_over_all_packages_that_go_has_to_compile(
    go: Path, steps: Steps, log: io.StringIO, tmp_path: Path
) -> None:
    with steps.step("programs") as step:
        ensure(tmp_path / "cache", step)
    assert re.findall(r"(\d) of (\d) packages compiled", log.getvalue()) == [("0", "2"), ("0", "2"), ("1", "2")]
    assert "linking the programs" in log.getvalue()


def test_the_share_done_goes_by_the_size_of_the_source(
    go: Path, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    with steps.step("programs") as step:
        monkeypatch.setattr(step, "progress", lambda share, _doing: shares.append(round(share, 3)))
        ensure(tmp_path / "cache", step)
    compiling = 1 - tools.LINKING_SHARE
    assert shares == [0, 0, round(0.1 * compiling, 3), round(compiling, 3)]


def test_the_key_follows_the_pins_and_our_own_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = tmp_path / "gomod"
    shutil.copytree(GOMOD, copied)
    monkeypatch.setattr(tools, "GOMOD", copied)
    keys = [cache_key()]
    for name in ("go.mod", "go.sum", "argocd/main.go", "tools.go"):
        with (copied / name).open("a") as file:
            file.write("// more\n")
        keys.append(cache_key())
    assert len(set(keys[:4])) == 4
    # It lists what `go mod tidy` keeps, and nothing is built from it.
    assert keys[4] == keys[3]
    monkeypatch.setattr(tools, "LAYOUT", tools.LAYOUT + 1)
    assert cache_key() not in keys


@pytest.mark.parametrize("module", ["k8s.io/kubernetes", "github.com/helm-unittest/helm-unittest"])
def test_versions_are_those_that_go_mod_requires(module: str) -> None:
    assert re.fullmatch(r"v\d+\.\d+\.\d+", pinned_version(module))


@pytest.mark.parametrize("file", ["kueue/kustomization.yaml", "docs/queues.md"])
def test_the_kueue_that_is_installed_is_the_one_that_is_built(file: str) -> None:
    named = re.findall(r"kueue/releases/download/(v[\d.]+)/", (ROOT / file).read_text())
    assert named == [pinned_version(KUEUE)]
