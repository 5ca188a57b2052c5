"""`jobyard team new`: a team's file and its repository, both or neither."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jobyard_cli.team.new import _put

from tests.support.git import commit_all, git
from tests.template.test_answers import add_group

Run = Callable[..., subprocess.CompletedProcess[str]]
WANTED = ["--owner", "fraud-ml@example.com", "--repo-url", "https://git.example.com/fraud/fraud-jobs.git"]


@pytest.fixture
def origin(template: Path, tmp_path: Path) -> Path:
    """The repository that the platform's was cloned from."""
    bare = tmp_path / "origin.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(template), str(bare)], check=True)
    git(template, "remote", "add", "origin", str(bare))
    return bare


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "teams"
    folder.mkdir()
    return folder


@pytest.fixture
def new(template: Path, output: Path, run: Run) -> Run:
    """Run the command in the platform's repository."""

    def call(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run("jobyard", "team", "new", name, *WANTED, "--output", str(output), *arguments, cwd=template)

    return call


def nothing_is_left(platform: Path, output: Path) -> bool:
    return not list(output.iterdir()) and git(platform, "status", "--porcelain") == ""


FILE = """\
# What the platform gives team fraud. Each value is described in docs/values.md.
repo: "https://git.example.com/fraud/fraud-jobs.git"
# Branch, tag or commit of it that Argo CD syncs.
revision: main
# Where it is and its pipelines run: gitlab or github.
ci: gitlab
# What the bill is split by.
costCenter: "cc-7"
# Groups of people that may look at its pods, if the team lets them, besides `jobyard:fraud:*`.
viewerGroups: []
# IAM roles of the team: what Airflow assumes to start its pods, and what its service accounts may have.
iamRoles: {launcher: jobyard-fraud, serviceAccounts: [fraud-jobs]}
allowedNodeGroups: ["default", "gpu"]
# Lowest and highest priority that its pods may have.
priorityBand: {min: 20000, max: 20008}
# Its levels of priority, with the value of each one's PriorityClass. Its own chart may make these and no others.
priorities: {low: 20000, normal: 20001, high: 20002}
# The most that all its pods together may request.
quota:
  pods: 20
  cpu: "32"
  memory: "64Gi"
  ephemeralStorage: "200Gi"
  gpu: 2
# Those that the team is in. What is different in one belongs in values/overrides/<environment>/fraud.yaml.
environments: ["prod"]
"""


def test_both_are_made_and_fit(template: Path, origin: Path, output: Path, new: Run, run: Run) -> None:
    options = ["--node-groups=default, gpu", "--environments=prod", "--cost-center=cc-7", "--priority-band=20000-20008"]
    made = new("fraud", *options, "--memory=64Gi", "--gpu=2")
    assert (made.returncode, made.stderr) == (0, "")
    commit, repo = git(template, "rev-parse", "HEAD"), output / "fraud-jobs"
    assert made.stdout.splitlines()[:3] == [
        "wrote values/teams/fraud.yaml",
        f"made {repo} from {origin} at {commit[:12]}",
        "next:",
    ]
    assert "git remote add origin https://git.example.com/fraud/fraud-jobs.git" in made.stdout
    assert (template / "values" / "teams" / "fraud.yaml").read_text() == FILE
    assert git(template, "status", "--porcelain") == "?? values/teams/fraud.yaml"
    assert list(output.iterdir()) == [repo]
    state = json.loads((repo / ".cruft.json").read_text())
    assert (state["template"], state["commit"]) == (str(origin), commit)
    values = yaml.safe_load((repo / "values" / "team.yaml").read_text())
    assert values["priorities"] == {"low": 20000, "normal": 20001, "high": 20002}
    assert values["allowedNodeGroups"] == ["default", "gpu"]
    assert run("jobyard", "check", cwd=repo).stdout == "0 jobs, no problems\n"
    listed = run("jobyard", "team", "list", cwd=template)
    assert listed.stdout.splitlines() == [
        "team   environments  node groups",
        "fraud  prod          default, gpu",
        "risk   dev, prod     default, high-cpu, high-memory",
    ]


@pytest.mark.parametrize(("environment", "namespaces"), [("dev", 0), ("prod", 1)])
def test_helm_renders_the_bounds_with_the_new_file(
    template: Path, new: Run, run: Run, environment: str, namespaces: int
) -> None:
    assert new("fraud", "--environments=prod").returncode == 0
    names = ("node-groups", f"environments/{environment}", "teams/fraud")
    files = [argument for name in names for argument in ("-f", f"values/{name}.yaml")]
    rendered = run("helm", "template", "charts/bounds", *files, "--set", "team=fraud", cwd=template)
    assert rendered.returncode == 0, rendered.stderr
    objects = [one for one in yaml.safe_load_all(rendered.stdout) if one]
    names_of = [one["metadata"]["name"] for one in objects if one["kind"] == "Namespace"]
    assert names_of == ["team-fraud"] * namespaces


def test_a_team_on_github_gets_its_pipelines_for_the_environments_in_their_order(output: Path, new: Run) -> None:
    made = new("fraud", "--ci=github", "--environments=prod, dev")
    assert (made.returncode, made.stderr) == (0, "")
    repo, platform = output / "fraud-jobs", output.parent / "template"
    workflow = yaml.safe_load((repo / ".github" / "workflows" / "jobyard.yml").read_text())
    assert list(workflow["jobs"]) == ["check", "plan", "missing-images", "build-images", "prod", "dev"]
    assert not (repo / ".gitlab-ci.yml").exists()
    assert yaml.safe_load((platform / "values" / "teams" / "fraud.yaml").read_text())["ci"] == "github"


def test_the_new_repository_can_be_upgraded(template: Path, origin: Path, output: Path, new: Run, run: Run) -> None:
    assert new("fraud").returncode == 0
    commit_all(output / "fraud-jobs")
    values = template / "charts" / "team" / "values.yaml"
    values.write_text(values.read_text() + "# newer\n")
    commit_all(template)
    git(template, "push", "--quiet", "origin", "HEAD")
    upgraded = run("jobyard", "upgrade", cwd=output / "fraud-jobs")
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    assert (output / "fraud-jobs" / "charts" / "team" / "values.yaml").read_text() == values.read_text()


def test_without_origin_the_folder_is_the_template_and_changes_in_no_commit_do_not_count(
    template: Path, output: Path, new: Run
) -> None:
    (template / "charts" / "team" / "values.yaml").write_text("broken: {\n")
    made = new("fraud")
    assert (made.returncode, made.stderr) == (0, "")
    assert (
        "  this repository has no remote `origin`, so `jobyard upgrade` will look for it in this folder, which\n"
        in made.stdout
    )
    assert "  uncommitted changes here are not in it\n" in made.stdout
    assert json.loads((output / "fraud-jobs" / ".cruft.json").read_text())["template"] == str(template)
    assert "broken" not in (output / "fraud-jobs" / "charts" / "team" / "values.yaml").read_text()


def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_left(template: Path, output: Path, new: Run) -> None:
    wrong = ["--owner=nobody", "--node-groups=high-mem", "--priority-band=9-1", "--cpu=4000m", "--pods=0"]
    refused = new("fraud", *wrong)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines() == [
        "owner 'nobody' is not an e-mail address; write one like risk-ml@example.com",
        "priority_band '9-1' is not the lowest and the highest of at least three priorities from 1 to 1000000000; "
        "write one like 1000-9999",
        "'pods' must be at least 1; got 0",
        "'cpu' must be a number of cores in canonical form, such as 4 or 250m; got '4000m'",
        "unknown node group 'high-mem' (did you mean 'high-memory'? the catalogue has: default, gpu, graviton, "
        "high-cpu, high-memory)",
        "nothing was written",
    ]
    assert nothing_is_left(template, output)


def test_a_group_that_was_added_to_the_catalogue_can_be_given(template: Path, output: Path, new: Run) -> None:
    add_group(template, "inferentia")
    commit_all(template)
    made = new("fraud", "--node-groups=default, inferentia")
    assert (made.returncode, made.stderr) == (0, "")
    values = yaml.safe_load((output / "fraud-jobs" / "values" / "team.yaml").read_text())
    assert values["allowedNodeGroups"] == ["default", "inferentia"]


def test_a_group_that_the_catalogue_lacks_is_told_once(template: Path, output: Path, new: Run) -> None:
    refused = new("fraud", "--node-groups=high-mem")
    assert refused.stderr.splitlines() == [
        "allowed_node_groups: unknown node group 'high-mem' (did you mean 'high-memory'? the catalogue has: default, "
        "high-cpu, high-memory, gpu, graviton)",
        "nothing was written",
    ]
    assert nothing_is_left(template, output)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Fraud_ML", [], "team 'Fraud_ML' is not a DNS label"),
        ("../fraud", [], "team '../fraud' is not a DNS label"),
        ("fraud: {}\n  x", [], "team 'fraud: {}\n  x' is not a DNS label"),
        ("airflow", [], "team 'airflow' is reserved for the platform"),
        ("risk", [], "team 'risk' exists already, in values/teams/risk.yaml; it was left unchanged"),
        ("fraud", ["--environments=prod,stage"], "unknown environment 'stage' (available: dev, prod)"),
        (
            "fraud",
            ["--priority-band=high"],
            "--priority-band must be a band of priorities, such as 1000-9999; got 'high'",
        ),
        (
            "fraud",
            ["--cost-center=ünits"],
            "'costCenter' must be a label of letters, digits, '.', '_' and '-', such as risk-ml; got 'ünits'",
        ),
        ("fraud", ["--output=/nowhere"], "--output must be a folder; got /nowhere"),
    ],
)
def test_a_wrong_answer_leaves_nothing(
    template: Path, output: Path, new: Run, name: str, arguments: list[str], message: str
) -> None:
    refused = new(name, *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(message)
    assert refused.stderr.endswith("\nnothing was written\n")
    assert nothing_is_left(template, output)


def test_a_folder_of_that_name_is_left_as_it_is(template: Path, output: Path, new: Run) -> None:
    (output / "fraud-jobs").mkdir()
    refused = new("fraud")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"{output}/fraud-jobs exists already; it was left unchanged\n")
    assert list((output / "fraud-jobs").iterdir()) == []
    (output / "fraud-jobs").rmdir()
    assert nothing_is_left(template, output)


def test_a_commit_that_origin_does_not_have_is_to_be_pushed_first(
    template: Path, origin: Path, output: Path, new: Run
) -> None:
    (template / "values" / "extra.yaml").write_text("")
    commit_all(template)
    refused = new("fraud")
    commit = git(template, "rev-parse", "HEAD")[:12]
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"push the commit that is checked out here, {commit}, to {origin} first\n" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert nothing_is_left(template, output)


def test_where_the_repository_cannot_be_put_the_file_is_taken_back(tmp_path: Path) -> None:
    baked, there, file = tmp_path / "baked", tmp_path / "there", tmp_path / "fraud.yaml"
    for folder in (baked, there):
        folder.mkdir()
        (folder / "x").write_text("")
    with pytest.raises(OSError, match="not empty"):
        _put(file, "teams: {}\n", baked, there)
    assert sorted(tmp_path.iterdir()) == [baked, there]


def test_only_the_platforms_repository_gets_teams(tmp_path: Path, crufted: Path, run: Run) -> None:
    refused = run("jobyard", "team", "new", "fraud", *WANTED, cwd=crufted)
    assert (refused.returncode, refused.stdout) == (2, "")
    why = "is missing: run this in the root directory of the platform repository"
    assert refused.stderr == f"{crufted}/cookiecutter.json {why}\n"
    assert run("jobyard", "team", "list", cwd=crufted).stderr == f"values/environments {why}\n"


def test_a_password_in_the_address_of_origin_does_not_get_into_the_repository(
    template: Path, output: Path, new: Run
) -> None:
    git(template, "remote", "add", "origin", "http://ci:s3cret@127.0.0.1:9/platform.git")
    refused = new("fraud")
    assert refused.returncode == 1
    assert "http://127.0.0.1:9/platform.git" in refused.stderr
    assert "s3cret" not in refused.stderr
