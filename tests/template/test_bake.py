"""A baked repository: complete, equal to its sources, and usable."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.git import commit_all, git
from tests.support.paths import ROOT

IN_TEMPLATE = ROOT / "{{cookiecutter.repo_name}}"
COPIED = {
    "charts/team": "charts/team",
    "images/feature-generation": "images/feature-generation",
    "images/inference": "images/inference",
    "schemas": "schemas",
    "values/node-groups.yaml": "values/node-groups.yaml",
    "values/platform": "values/environments",
    "values/task-types.yaml": "values/task-types.yaml",
}
"""Path in a team repository -> where this repository has it."""

Bake = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]
Tree = dict[str, tuple[bytes, bool]]


def tree(folder: Path) -> Tree:
    """Content and executable bit of every file in a folder (or of one file)."""
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK))
        for path in paths
        if not {"__pycache__", ".git"} & set(path.parts)
    }


@pytest.mark.parametrize(("copy", "source"), COPIED.items())
def test_what_is_the_platforms_is_copied_byte_for_byte(bake: Bake, copy: str, source: str) -> None:
    baked = tree(bake() / copy)
    assert baked == tree(ROOT / source)
    assert baked


def test_the_baked_chart_is_whole(bake: Bake) -> None:
    chart = tree(bake() / "charts" / "team")
    assert {"Chart.yaml", "values.yaml", "values.schema.json", ".helmignore"} <= chart.keys()
    assert b"{{- define" in chart["templates/_helpers.tpl"][0]


def test_every_link_of_the_template_is_copied_without_rendering() -> None:
    # A linked folder that is not listed would come out empty, without a word.
    links = [path for path in IN_TEMPLATE.rglob("*") if path.is_symlink()]
    settings = json.loads((ROOT / "cookiecutter.json").read_text())
    assert sorted(str(link.relative_to(IN_TEMPLATE)) for link in links) == sorted(COPIED)
    assert settings["_copy_without_render"] == sorted(COPIED)
    assert {link.relative_to(IN_TEMPLATE).as_posix(): link.resolve() for link in links} == {
        copy: ROOT / source for copy, source in COPIED.items()
    }


def test_nothing_is_left_unrendered_and_no_link_leaves_the_repository(bake: Bake) -> None:
    repo = bake()
    assert not [path for path in repo.rglob("*") if path.is_symlink()]
    assert not [name for name, (content, _) in tree(repo).items() if b"cookiecutter." in content]


def test_the_answers_are_in_the_teams_values(bake: Bake) -> None:
    repo = bake(allowed_node_groups="default,gpu , graviton,")
    assert repo.name == "risk-jobs"
    assert yaml.safe_load((repo / "values" / "team.yaml").read_text()) == {
        "team": "risk",
        "allowedNodeGroups": ["default", "gpu", "graviton"],
        "serviceAccounts": {"jobs": {"roleArn": ""}},
        "priorities": {"low": 1000, "normal": 2000, "high": 3000},
        "viewerGroups": ["jobyard:risk:viewers"],
    }


def test_helm_renders_the_baked_chart_with_the_baked_values(bake: Bake, run: Run) -> None:
    repo = bake()
    values = ["-f", "values/node-groups.yaml", "-f", "values/team.yaml"]
    rendered = run("helm", "template", "charts/team", *values, cwd=repo)
    assert rendered.returncode == 0, rendered.stderr
    golden = ROOT / "tests" / "charts" / "golden" / "team.yaml"
    assert rendered.stdout == golden.read_text()


def test_what_the_readme_shows_for_one_environment_is_laid_over_the_teams_values(bake: Bake, run: Run) -> None:
    repo = bake()
    (shown,) = re.findall(r"```yaml\n(.*?)```", (repo / "README.md").read_text(), flags=re.S)
    (repo / "values" / "environments").mkdir()
    (repo / "values" / "environments" / "dev.yaml").write_text(shown)
    files = ("node-groups", "team", "environments/dev")
    values = [argument for name in files for argument in ("-f", f"values/{name}.yaml")]
    rendered = run("helm", "template", "charts/team", *values, cwd=repo)
    assert rendered.returncode == 0, rendered.stderr
    accounts = [one for one in yaml.safe_load_all(rendered.stdout) if one and one["kind"] == "ServiceAccount"]
    assert [one["metadata"]["annotations"] for one in accounts] == [
        {"eks.amazonaws.com/role-arn": "arn:aws:iam::444455556666:role/risk-jobs"}
    ]


def test_the_check_passes_on_a_new_repository(bake: Bake) -> None:
    repo = bake()
    command = [sys.executable, "-m", "jobyard_cli", "check"]
    checked = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_cruft_makes_what_cookiecutter_makes(bake: Bake, crufted: Path) -> None:
    assert tree(crufted) == tree(bake())


def test_cruft_update_brings_the_platforms_part_and_leaves_the_teams(crufted: Path, template: Path, run: Run) -> None:
    teams = ("values/team.yaml", "images/inference/Dockerfile", "dags/README.md")
    for path in (*teams, "charts/team/values.yaml", "README.md"):
        source = template / path if path.startswith(("charts", "images")) else template / IN_TEMPLATE.name / path
        source.write_text(source.read_text() + "# newer\n")
    (template / "charts" / "team" / "templates" / "new.yaml").write_text("# {{ .Values.team }}\n")
    commit_all(template)
    updated = run("cruft", "update", "--skip-apply-ask", cwd=crufted)
    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert tree(crufted / "charts" / "team") == tree(template / "charts" / "team")
    assert (crufted / "README.md").read_text().endswith("# newer\n")
    assert not [path for path in teams if "# newer" in (crufted / path).read_text()]


def cookiecutter(run: Run, *arguments: str, cwd: Path) -> str:
    made = run("cookiecutter", "--no-input", *arguments, "team=risk", cwd=cwd)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_changes_that_are_in_no_commit_and_a_commit_that_is_not_pushed_are_said(
    tmp_path: Path, template: Path, run: Run
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(template), "platform.git")
    git(template, "remote", "add", "origin", "https://ci:s3cret@git.example.com/platform.git")
    git(template, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert "  ! " not in cookiecutter(run, str(template), cwd=tmp_path)
    state = (tmp_path / "risk-jobs" / ".cruft.json").read_text()
    assert json.loads(state)["template"] == "https://git.example.com/platform.git"
    assert "s3cret" not in state
    (template / "values" / "new.yaml").write_text("")
    commit_all(template)
    (template / "charts" / "team" / "values.yaml").write_text("# changed\n")
    said = cookiecutter(run, "--output-dir", "other", str(template), cwd=tmp_path)
    commit = git(template, "rev-parse", "HEAD")[:12]
    assert f"  ! commit {commit} is in no branch of https://git.example.com/platform.git that" in said
    assert f"its pipelines and the next upgrade go by commit {commit}" in said


def test_a_folder_that_git_does_not_know_makes_a_repository_that_says_what_it_lacks(
    tmp_path: Path, template: Path, run: Run
) -> None:
    # In a folder of git's, which knows nothing of the template.
    git(tmp_path, "init", "--quiet")
    shutil.rmtree(template / ".git")
    said = cookiecutter(
        run, "--output-dir", "made", "template", "platform_url=https://git.example.com/p.git", cwd=tmp_path
    )
    assert "  ! the template's commit is not known, as it came neither from a git repository nor from an" in said
    state = json.loads((tmp_path / "made" / "risk-jobs" / ".cruft.json").read_text())
    assert (state["template"], state["commit"]) == ("https://git.example.com/p.git", "")


@pytest.mark.parametrize("url", ["git@git.example.com:p.git", "https://user:secret@git.example.com/p.git", "../p"])
def test_an_address_that_pipelines_cannot_use_is_refused(tmp_path: Path, template: Path, run: Run, url: str) -> None:
    made = run("cookiecutter", "--no-input", str(template), f"platform_url={url}")
    assert made.returncode != 0
    assert f"platform_url '{url}' is not an https address without a login; write one like https://git." in made.stderr
