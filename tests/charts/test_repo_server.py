"""What a team's repository can make of Argo CD's repository server: the real one, with our settings and with its own.

A try that our settings stop is first made on a server with Argo CD's defaults, where it works: so it is a real one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobyard_cli.go import modules, toolchain
from jobyard_local import repo_server

from tests.charts import repo_server as servers
from tests.charts.repo_server import LOGIN, Rendered, RepoServer, WebServer
from tests.support.git import git
from tests.support.paths import ROOT

SECRET = "nobody-of-another-team-may-read-this"
DOUBLING = '{{- $s := "aaaaaaaa" }}{{- range until 40 }}{{- $s = printf "%s%s" $s $s }}{{- end }}a: {{ $s }}\n'
SHOWS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: shown}
data: {content: {{ .Files.Get "inner/secret.txt" | quote }}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repo-server")


@pytest.fixture(scope="module")
def ours(programs: Path, folder: Path) -> Iterator[RepoServer]:
    """The server with our settings."""
    with servers.running(programs, folder / "ours", bounded=True) as server:
        yield server


@pytest.fixture(scope="module")
def by_default(programs: Path, folder: Path) -> Iterator[RepoServer]:
    """The server as Argo CD has it."""
    with servers.running(programs, folder / "by-default", bounded=False) as server:
        yield server


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[WebServer]:
    """The company's git host; its one login reads every repository there."""
    with servers.git_host(folder / "git") as server:
        yield server


@pytest.fixture
def foreign() -> Iterator[WebServer]:
    """A host of the attacker's."""
    with servers.foreign_host() as server:
        yield server


@pytest.fixture(scope="module")
def private(folder: Path, host: WebServer) -> str:
    """A commit of the repository /private.git, which is another team's."""
    tree = folder / "git" / "private.git"
    tree.mkdir(parents=True)
    git(tree, "init", "--quiet", "--initial-branch=main")
    (tree / "secret.txt").write_text(SECRET)
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message=Secret")
    return git(tree, "rev-parse", "HEAD")


class Attacker:
    """May push to a repository of the company's git host."""

    def __init__(self, tree: Path, host: WebServer) -> None:
        self.tree, self.url = tree, f"{host.url}/{tree.name}"

    def push(self, files: dict[str, str], submodule: str = "") -> str:
        """A commit of a chart with these files, and in its folder `inner` a submodule at a commit."""
        git(self.tree, "rm", "-r", "--quiet", "--cached", "--ignore-unmatch", ".")
        git(self.tree, "clean", "-ffdxq")
        chart = {"charts/team/Chart.yaml": "apiVersion: v2\nname: team\nversion: 1.0.0\n"}
        for name, text in {**chart, **files}.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)
            git(self.tree, "add", "--force", name)
        if submodule:
            git(self.tree, "update-index", "--add", "--cacheinfo", f"160000,{submodule},charts/team/inner")
        git(self.tree, "commit", "--quiet", "--allow-empty", "--message=A change")
        return git(self.tree, "rev-parse", "HEAD")

    def submodule(self, url: str, commit: str) -> str:
        # Named by its address, as git keeps what it has of one by its name.
        modules = f'[submodule "{url}"]\n\tpath = charts/team/inner\n\turl = {url}\n'
        return self.push({".gitmodules": modules, "charts/team/templates/shows.yaml": SHOWS}, commit)


@pytest.fixture(scope="module")
def attacker(folder: Path, host: WebServer) -> Attacker:
    tree = folder / "git" / "risk.git"
    tree.mkdir(parents=True)
    git(tree, "init", "--quiet", "--initial-branch=main")
    return Attacker(tree, host)


def shown(rendered: Rendered) -> str:
    """The content of the ConfigMap that the template makes."""
    (manifest,) = rendered.manifests
    content: str = json.loads(manifest)["data"]["content"]
    return content


def test_the_platforms_charts_are_rendered_with_the_helpers_that_they_link_to(
    ours: RepoServer, folder: Path, host: WebServer
) -> None:
    tree = folder / "git" / "platform.git"
    shutil.copytree(ROOT / "charts", tree / "charts", symlinks=True)
    assert (tree / "charts" / "platform" / "templates" / "_jobyard.tpl").is_symlink()
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message=Charts")
    rendered = ours.render(f"{host.url}/{tree.name}", git(tree, "rev-parse", "HEAD"), path="charts/platform")
    assert rendered.error == ""
    labels = [json.loads(manifest)["metadata"]["labels"] for manifest in rendered.manifests]
    assert labels
    assert all(one["app.kubernetes.io/part-of"] == "jobyard" for one in labels)


def test_a_submodule_brings_another_repository_by_default(
    by_default: RepoServer, attacker: Attacker, host: WebServer, private: str
) -> None:
    commit = attacker.submodule(f"{host.url}/private.git", private)
    assert shown(by_default.render(attacker.url, commit)) == SECRET


def test_a_submodule_brings_nothing(ours: RepoServer, attacker: Attacker, host: WebServer, private: str) -> None:
    commit = attacker.submodule(f"{host.url}/private.git", private)
    before = len(host.requests)
    assert shown(ours.render(attacker.url, commit)) == ""
    assert not [path for path, _ in host.requests[before:] if "private" in path]


def test_a_submodule_sends_the_login_to_any_host_by_default(
    by_default: RepoServer, attacker: Attacker, foreign: WebServer
) -> None:
    by_default.render(attacker.url, attacker.submodule(f"{foreign.url}/x.git", "b" * 40))
    assert LOGIN in {login for _, login in foreign.requests}


def test_a_submodule_reaches_no_other_host(ours: RepoServer, attacker: Attacker, foreign: WebServer) -> None:
    assert shown(ours.render(attacker.url, attacker.submodule(f"{foreign.url}/x.git", "b" * 40))) == ""
    assert foreign.requests == []


def dependency(url: str) -> dict[str, str]:
    chart = {"apiVersion": "v2", "name": "team", "version": "1.0.0"}
    needs = [{"name": "other", "version": "1.0.0", "repository": url}]
    return {"charts/team/Chart.yaml": yaml.safe_dump({**chart, "dependencies": needs})}


def test_a_dependency_is_fetched_from_any_address_by_default_though_without_a_login(
    by_default: RepoServer, attacker: Attacker, foreign: WebServer
) -> None:
    by_default.render(attacker.url, attacker.push(dependency(f"{foreign.url}/charts")))
    assert {login for _, login in foreign.requests} == {""}


def test_a_dependency_is_not_fetched(ours: RepoServer, attacker: Attacker, foreign: WebServer) -> None:
    for address in (f"{foreign.url}/charts", f"oci://{foreign.url.removeprefix('http://')}/charts", "file:///tmp"):
        refused = ours.render(attacker.url, attacker.push(dependency(address)))
        assert "is not allowed here: a chart's dependencies have to be in its folder charts/" in refused.error
    assert foreign.requests == []


def schema(reference: str) -> dict[str, str]:
    return {"charts/team/values.schema.json": json.dumps({"$ref": reference})}


def test_a_schema_reads_files_and_addresses_by_default(
    by_default: RepoServer, attacker: Attacker, foreign: WebServer
) -> None:
    by_default.render(attacker.url, attacker.push(schema(f"{foreign.url}/schema.json")))
    assert foreign.requests
    error = by_default.render(attacker.url, attacker.push(schema("file:///etc/passwd"))).error
    assert "invalid character 'r'" in error


def test_a_schema_reads_nothing_else(ours: RepoServer, attacker: Attacker, foreign: WebServer) -> None:
    for reference in (f"{foreign.url}/schema.json", "file:///etc/passwd"):
        error = ours.render(attacker.url, attacker.push(schema(reference))).error
        assert "a schema must refer only to its own parts" in error
    assert foreign.requests == []


JSONNET_FILE = """\
{apiVersion: "v1", kind: "ConfigMap", metadata: {name: "x"}, data: {a: importstr "Chart.yaml"}}
"""
JSONNET = {"directory": {"include": "x.jsonnet", "jsonnet": {}}}
KUSTOMIZE = {"kustomize": {"namePrefix": "x-"}}
PLUGIN = {"plugin": {"name": "x"}}


def other_tool(source: Mapping[str, object], foreign: WebServer) -> dict[str, str]:
    """A source file of the team's own that puts something in Helm's place, and what that would read."""
    return {
        "charts/team/.argocd-source.yaml": yaml.safe_dump({"helm": None, **source}),
        "charts/team/x.jsonnet": JSONNET_FILE,
        "charts/team/kustomization.yaml": yaml.safe_dump({"resources": [f"{foreign.url}/base.yaml"]}),
    }


@pytest.mark.parametrize("source", [JSONNET, KUSTOMIZE, PLUGIN], ids=lambda source: str(*source))
def test_an_application_that_says_helm_stays_helms(
    by_default: RepoServer, attacker: Attacker, foreign: WebServer, source: Mapping[str, object]
) -> None:
    error = by_default.render(attacker.url, attacker.push(other_tool(source, foreign))).error
    assert "multiple application sources defined" in error


def test_an_application_that_does_not_say_helm_gets_any_tool_by_default(
    by_default: RepoServer, attacker: Attacker, foreign: WebServer
) -> None:
    (manifest,) = by_default.render(attacker.url, attacker.push(other_tool(JSONNET, foreign)), helm=False).manifests
    assert json.loads(manifest)["metadata"]["name"] == "x"
    # It is not installed here; where it is, it fetches what it is given.
    kustomized = by_default.render(attacker.url, attacker.push(other_tool(KUSTOMIZE, foreign)), helm=False)
    assert 'exec: "kustomize"' in kustomized.error


def test_an_application_that_does_not_say_helm_gets_no_other_tool_either(
    ours: RepoServer, attacker: Attacker, foreign: WebServer
) -> None:
    assert ours.render(attacker.url, attacker.push(other_tool(JSONNET, foreign)), helm=False).manifests == []
    kustomized = ours.render(attacker.url, attacker.push(other_tool(KUSTOMIZE, foreign)), helm=False)
    assert 'exec: "kustomize"' not in kustomized.error
    plugin = ours.render(attacker.url, attacker.push(other_tool(PLUGIN, foreign)), helm=False)
    assert "plugin" in plugin.error
    assert foreign.requests == []


def test_large_files_are_fetched_from_nowhere(ours: RepoServer, attacker: Attacker, foreign: WebServer) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12\n"
    files = {
        ".gitattributes": "*.txt filter=lfs diff=lfs merge=lfs -text\n",
        ".lfsconfig": f"[lfs]\n\turl = {foreign.url}/lfs\n",
        "charts/team/inner/secret.txt": pointer,
        "charts/team/templates/shows.yaml": SHOWS,
    }
    assert shown(ours.render(attacker.url, attacker.push(files))) == pointer
    assert foreign.requests == []


def test_a_chart_that_explodes_ends_alone(ours: RepoServer, attacker: Attacker) -> None:
    error = ours.render(attacker.url, attacker.push({"charts/team/templates/x.yaml": DOUBLING})).error
    assert "rendering the chart takes more than 512 MiB" in error
    shows = {"charts/team/templates/shows.yaml": SHOWS, "charts/team/inner/secret.txt": "its own"}
    assert shown(ours.render(attacker.url, attacker.push(shows))) == "its own"


@pytest.fixture(scope="module")
def installed(programs: Path, folder: Path) -> list[dict[str, Any]]:
    """Argo CD's own manifests with `argocd/` over them."""
    argocd = modules.module_folder(toolchain.go_command(print), modules.ARGOCD)
    upstream = argocd / "manifests" / "core-install.yaml"
    shutil.copyfile(upstream, folder / "core-install.yaml")
    shutil.copytree(repo_server.SETTINGS, folder / "argocd")
    both = {"namespace": "argocd", "resources": [upstream.name], "components": ["argocd"]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(both))
    built = subprocess.run([programs / "kubectl", "kustomize", folder], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(built.stdout))


def test_argo_cds_own_manifests_take_our_settings(installed: list[dict[str, Any]]) -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in installed}
    for name in ("argocd-cm", "argocd-cmd-params-cm"):
        assert repo_server.settings(name).items() <= found["ConfigMap", name]["data"].items()
    helm = found["ConfigMap", "jobyard-helm"]
    assert (helm["metadata"]["namespace"], helm["data"]["helm"]) == (
        "argocd",
        (repo_server.SETTINGS / "helm").read_text(),
    )
    pod = found["Deployment", "argocd-repo-server"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"].startswith("quay.io/argoproj/argocd:")
    assert container["resources"]["limits"] == {"memory": "4Gi"}
    (mounted,) = [one["mountPath"] for one in container["volumeMounts"] if one["name"] == helm["metadata"]["name"]]
    (path,) = [one["value"] for one in container["env"] if one["name"] == "PATH"]
    assert path.split(":")[0] == mounted
    # What the local platform gives its server is what this Deployment gives this one.
    read = [(one["name"], one.get("valueFrom", {}).get("configMapKeyRef", {}).get("key")) for one in container["env"]]
    assert {(variable, key) for key, variable in repo_server.VARIABLES.items()} <= set(read)
    assert set(repo_server.settings("argocd-cmd-params-cm")) - set(repo_server.VARIABLES) == {
        "applicationsetcontroller.enable.git.submodule"
    }


def test_each_server_has_a_socket_of_its_own_for_git_to_ask_for_logins(
    ours: RepoServer, by_default: RepoServer, folder: Path
) -> None:
    for name in ("ours", "by-default"):
        assert (folder / name / "argocd" / "askpass.sock").is_socket()
