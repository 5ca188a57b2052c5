"""What the answers may be, and what a person reads when one is wrong."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pre_gen_project import problems, suggest_label

from tests.support.git import commit_all

RIGHT = {
    "team": "risk",
    "owner": "risk-ml@example.com",
    "repo_name": "risk-jobs",
    "repo_url": "https://git.example.com/risk/risk-jobs.git",
    "allowed_node_groups": "default, high-cpu",
    "priority_band": "1000-9999",
    "environments": "dev, prod",
}
LABEL_RULE = "is not a DNS label (lower-case letters, digits and '-', starting with a letter, at most {} characters)"
TEAM_RULE = LABEL_RULE.format(40)
RESERVED_RULE = "is reserved for the platform (so are jobyard, platform, airflow, argocd, default and kube-*)"
BAND_RULE = (
    "is not the lowest and the highest of at least three priorities from 1 to 1000000000; write one like 1000-9999"
)
ENVIRONMENT_RULE = (
    "an environment's name must have lower-case letters, digits and '-', start with a letter, "
    "and not be one of the pipeline's own words check, chart, dags, plan"
)
CATALOGUE = "the catalogue has: default, high-cpu, high-memory, gpu, graviton"


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("team", "r"),
        ("team", "risk-2"),
        ("team", "a" * 40),
        ("repo_url", "git@git.example.com:risk/risk-jobs.git"),
        ("repo_url", "ssh://git@git.example.com:2222/risk/risk-jobs.git"),
        ("repo_url", "file:///srv/git/risk-jobs.git"),
        ("allowed_node_groups", "gpu"),
        ("allowed_node_groups", "default,gpu , graviton,"),
        ("environments", "prod"),
        ("environments", "dev,staging-eu , prod,"),
        ("priority_band", "1-3"),
        ("priority_band", "1000-1000000000"),
    ],
)
def test_a_right_answer_has_no_problem(answer: str, value: str) -> None:
    assert problems({**RIGHT, answer: value}) == []


@pytest.mark.parametrize(
    ("answer", "value", "message"),
    [
        ("team", "Risk_ML", f"team 'Risk_ML' {TEAM_RULE}; try 'risk-ml'"),
        ("team", "2fast", f"team '2fast' {TEAM_RULE}; try 'fast'"),
        ("team", "risk-", f"team 'risk-' {TEAM_RULE}; try 'risk'"),
        ("team", "risk.eu", f"team 'risk.eu' {TEAM_RULE}; try 'risk-eu'"),
        ("team", "risk\n", f"team 'risk\n' {TEAM_RULE}; try 'risk'"),
        ("team", "a" * 41, f"team '{'a' * 41}' {TEAM_RULE}; try '{'a' * 40}'"),
        ("team", "42", f"team '42' {TEAM_RULE}"),
        ("team", "", f"team '' {TEAM_RULE}"),
        ("team", "airflow", f"team 'airflow' {RESERVED_RULE}; try 'team-airflow'"),
        ("team", "kube-risk", f"team 'kube-risk' {RESERVED_RULE}; try 'team-kube-risk'"),
        ("repo_name", "../risk", f"repo_name '../risk' {LABEL_RULE.format(63)}; try 'risk'"),
        ("owner", "risk-ml", "owner 'risk-ml' is not an e-mail address; write one like risk-ml@example.com"),
        (
            "repo_url",
            "risk jobs",
            "repo_url 'risk jobs' is not the address of a git repository; "
            "write one like https://git.example.com/risk/risk-jobs.git",
        ),
        (
            "allowed_node_groups",
            " , ",
            "allowed_node_groups must name at least one node group, such as default, high-cpu",
        ),
        ("allowed_node_groups", "gpu,default,gpu", "allowed_node_groups must name each group once; got 'gpu' 2 times"),
        ("environments", " , ", "environments must name at least one, such as dev, prod"),
        ("environments", "dev, Prod", f"{ENVIRONMENT_RULE}; got 'Prod'"),
        ("environments", "check, prod", f"{ENVIRONMENT_RULE}; got 'check'"),
        ("environments", "dev,prod,dev", "environments must name each once; got 'dev' 2 times"),
        ("priority_band", "high", f"priority_band 'high' {BAND_RULE}"),
        ("priority_band", "9999-1000", f"priority_band '9999-1000' {BAND_RULE}"),
        ("priority_band", "1000-1001", f"priority_band '1000-1001' {BAND_RULE}"),
        ("priority_band", "0-9999", f"priority_band '0-9999' {BAND_RULE}"),
        ("priority_band", "1000-1000000001", f"priority_band '1000-1000000001' {BAND_RULE}"),
    ],
)
def test_a_wrong_answer_is_named_with_what_would_be_right(answer: str, value: str, message: str) -> None:
    assert problems({**RIGHT, answer: value}) == [message]


@pytest.mark.parametrize("value", ["Risk_ML", "2fast", "--a--", "Équipe Données", "a" * 39 + "-b", "RISK  ml!"])
def test_a_suggestion_is_itself_a_right_answer(value: str) -> None:
    assert problems({**RIGHT, "team": suggest_label(value, 40)}) == []


def test_everything_wrong_is_told_at_once_and_nothing_is_left(
    tmp_path: Path, template: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    answers = ["team=Risk_ML", "owner=nobody", "repo_name=risk-jobs", "allowed_node_groups=gpu, gpu"]
    made = run("cookiecutter", "--no-input", "--output-dir", str(tmp_path / "out"), str(template), *answers)
    assert made.returncode == 1
    told = [line for line in made.stderr.splitlines() if "hook" not in line]
    assert told == [
        f"team 'Risk_ML' {TEAM_RULE}; try 'risk-ml'",
        "owner 'nobody' is not an e-mail address; write one like risk-ml@example.com",
        "allowed_node_groups must name each group once; got 'gpu' 2 times",
    ]
    assert list((tmp_path / "out").iterdir()) == []


def test_an_answer_with_quotes_and_braces_reaches_the_hook_as_it_is(
    tmp_path: Path, template: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    owner = '\'""" \\ <&>'
    made = run("cookiecutter", "--no-input", "-o", str(tmp_path / "out"), str(template), f"owner={owner}")
    assert f"owner '{owner}' is not an e-mail address" in made.stderr


def made_by(
    program: str, run: Callable[..., subprocess.CompletedProcess[str]], template: Path, output: Path, groups: str
) -> subprocess.CompletedProcess[str]:
    """A repository of team risk's with these node groups, as a person makes it with that program."""
    if program == "cookiecutter":
        return run(
            program, "--no-input", "-o", str(output), str(template), "team=risk", f"allowed_node_groups={groups}"
        )
    answers = json.dumps({"team": "risk", "allowed_node_groups": groups})
    options = ["--no-input", "--default-config", "--output-dir", str(output), "--extra-context", answers]
    return run(program, "create", str(template), *options)


def add_group(template: Path, name: str) -> None:
    """Put another group into the catalogue, and nowhere else."""
    catalogue = template / "values" / "node-groups.yaml"
    text = catalogue.read_text()
    (group,) = re.findall(r"(?ms)^  graviton:\n.*?(?=^  \S|\Z)", text)
    catalogue.write_text(f"{text.rstrip()}\n{group.replace('graviton', name)}")


@pytest.mark.parametrize("program", ["cookiecutter", "cruft"])
def test_a_group_that_was_added_to_the_catalogue_is_an_answer(
    tmp_path: Path,
    template: Path,
    run: Callable[..., subprocess.CompletedProcess[str]],
    program: str,
) -> None:
    add_group(template, "inferentia")
    commit_all(template)
    made = made_by(program, run, template, tmp_path / "out", "default, inferentia")
    assert made.returncode == 0, made.stderr
    values = (tmp_path / "out" / "risk-jobs" / "values" / "team.yaml").read_text()
    assert "allowedNodeGroups: [default, inferentia]" in values


@pytest.mark.parametrize("program", ["cookiecutter", "cruft"])
@pytest.mark.parametrize(
    ("groups", "hint"), [("default, high-mem", "did you mean 'high-memory'? "), ("default, tpu-v9", "")]
)
def test_a_group_that_the_catalogue_lacks_is_refused_and_nothing_is_left(
    tmp_path: Path,
    template: Path,
    run: Callable[..., subprocess.CompletedProcess[str]],
    program: str,
    groups: str,
    hint: str,
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    made = made_by(program, run, template, output, groups)
    assert made.returncode == 1
    unknown = groups.split(", ")[1]
    assert f"allowed_node_groups: unknown node group '{unknown}' ({hint}{CATALOGUE})\n" in made.stderr
    assert list(output.iterdir()) == []
