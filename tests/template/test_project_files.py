"""The files around the code: the own pipelines by the schemas and linters of their users, licenses, shell scripts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import lint_workflows
import pytest
import yaml

from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def tracked(*patterns: str) -> list[str]:
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "options",
    [
        ["--builtin-schema=vendor.github-workflows", *WORKFLOWS],
        ["--builtin-schema=vendor.gitlab-ci", "--data-transform=gitlab-ci", ".gitlab-ci.yml"],
        ["--builtin-schema=vendor.renovate", "renovate.json"],
    ],
    ids=["github", "gitlab", "renovate"],
)
def test_it_fits_the_services_own_schema(options: list[str | Path]) -> None:
    checked = run(BIN / "check-jsonschema", *options)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_actionlint_finds_nothing_in_the_workflows(tmp_path: Path) -> None:
    assert WORKFLOWS
    program = lint_workflows.program(print)
    linted = run(program, *WORKFLOWS)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    broken = tmp_path / "ci.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on: ", "runs-in: "))
    assert "runs-in" in run(program, broken).stdout


def test_every_action_is_pinned_by_its_commit() -> None:
    used = [action for file in WORKFLOWS for action in re.findall(r"uses: (\S+)", file.read_text())]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def test_both_pipelines_run_what_a_person_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if ".ci/run" in step.get("run", "")] != []
    assert yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())["test"]["script"] == [".ci/run"]


def test_shellcheck_finds_nothing() -> None:
    scripts = [name for name in tracked(":!tests/fixtures") if (ROOT / name).read_bytes()[:32].startswith(b"#!/bin/sh")]
    scripts.append("{{cookiecutter.repo_name}}/ci/install.sh")
    assert {".ci/run", "argocd/helm", "scripts/bootstrap.sh"} <= set(scripts)
    checked = run(BIN / "shellcheck", *scripts)
    assert checked.returncode == 0, checked.stdout


def test_every_file_has_a_license() -> None:
    checked = run(BIN / "reuse", "lint", "--json")
    assert checked.returncode == 0, checked.stdout[-2000:] + checked.stderr
    # ISC and MIT: the libraries of the metrics' page.
    assert json.loads(checked.stdout)["summary"]["used_licenses"] == ["Apache-2.0", "ISC", "MIT"]
    assert (ROOT / "LICENSES" / "Apache-2.0.txt").read_text() == (ROOT / "LICENSE").read_text()


def test_the_hooks_run_programs_that_are_installed() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [hook["entry"].split() for hook in hooks]
    assert len(entries) > 4
    programs = {entry[0].removeprefix(".venv/bin/") for entry in entries}
    assert [name for name in programs if not shutil.which(name, path=str(BIN))] == []
    named = [word for entry in entries for word in entry if word.endswith(".py")]
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_changelog_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[:2] == ["Unreleased", version]


def test_both_hosts_offer_the_same_form_for_a_merge_request() -> None:
    github = (ROOT / ".github" / "pull_request_template.md").read_text()
    assert (ROOT / ".gitlab" / "merge_request_templates" / "Default.md").read_text() == github


def test_readme_has_a_line_for_every_top_level_folder() -> None:
    table = (ROOT / "README.md").read_text().partition("| folder |")[2].partition("\n\n")[0]
    folders = {name.partition("/")[0] for name in tracked() if "/" in name}
    assert [folder for folder in sorted(folders) if f"`{folder}/`" not in table] == []
