"""docs/rules.md: a section for every rule, with an example that the check refuses for this rule alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jobyard_cli.check.rules import RULES, Rule
from jobyard_cli.check.run import check_repo
from jsonschema import Draft202012Validator
from write_rule_reference import EXAMPLES, FILES, JOBS, LINK, PAGE, render

from tests.support.paths import ROOT

AddJob = Callable[..., Path]
OF_FILES = sorted(folder.name for folder in FILES.iterdir())
JOB_SCHEMA = ROOT / "schemas" / "job.schema.json"
SCHEMAS = [JOB_SCHEMA, *sorted(ROOT.glob("charts/*/values.schema.json")), ROOT / "values" / "task-types.yaml"]


def add_least_job(add_job: AddJob) -> None:
    add_job("least", (JOBS.parent / "valid" / "least" / "job.yaml").read_text())


def copy_files(source: Path, repo: Path) -> None:
    """Copy a tree into the repository, and make the symbolic links that it describes."""
    shutil.copytree(source, repo, dirs_exist_ok=True)
    for file in repo.rglob(f"*{LINK}"):
        file.with_suffix("").symlink_to(file.read_text().strip())
        file.unlink()


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == render(), "run `make docs`"


def test_every_rule_is_described_once_and_has_one_example() -> None:
    assert list(RULES) == list(get_args(Rule)) == sorted(RULES)
    assert sorted([*EXAMPLES, *OF_FILES]) == sorted(RULES)
    assert all(rule == rule.lower().replace("_", "-") for rule in RULES)


@pytest.mark.parametrize(("rule", "name"), EXAMPLES.items(), ids=EXAMPLES)
def test_an_example_violates_its_rule_alone_and_nothing_once_it_is_fixed(
    add_job: AddJob, team_repo: Path, rule: str, name: str
) -> None:
    add_least_job(add_job)
    add_job(name, (JOBS / name / "job.yaml").read_text())
    assert {finding.rule for finding in check_repo(team_repo).findings} == {rule}
    add_job(name, (JOBS / name / "fixed.yaml").read_text())
    assert [str(finding) for finding in check_repo(team_repo).reported] == []


@pytest.mark.parametrize("rule", OF_FILES)
def test_files_violate_their_rule_alone(team_repo: Path, rule: str) -> None:
    copy_files(FILES / rule / "wrong", team_repo)
    findings = check_repo(team_repo).reported
    assert [str(finding) for finding in findings] == (FILES / rule / "expected.txt").read_text().splitlines()
    assert {finding.rule for finding in findings} == {rule}


@pytest.mark.parametrize("rule", OF_FILES)
def test_fixed_files_violate_nothing(team_repo: Path, rule: str) -> None:
    copy_files(FILES / rule / "fixed", team_repo)
    assert [str(finding) for finding in check_repo(team_repo).reported] == []


def patterns(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a schema that have a pattern, except those that a value must not match."""
    if isinstance(part, list):
        for entry in part:
            yield from patterns(entry)
    elif isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part
        for name, entry in part.items():
            if name != "not":
                yield from patterns(entry)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.relative_to(ROOT).as_posix())
def test_every_pattern_of_a_schema_has_a_rule_in_words(schema: Path) -> None:
    found = list(patterns(yaml.safe_load(schema.read_text())))
    assert found
    assert [part["pattern"] for part in found if not part.get("x-rule", "")] == []
    assert [part["x-rule"] for part in found if part["x-rule"].endswith(".")] == []


def test_a_schema_with_rules_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(json.loads(JOB_SCHEMA.read_text()))
