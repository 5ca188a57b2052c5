"""The pipelines of a team's repository, by the schemas and the linter that GitLab's and GitHub's users have."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
from jobyard_cli.local import tools
from jobyard_cli.local.locks import one_builder
from jobyard_cli.local.settings import cache_dir
from jobyard_cli.local.shell import run as run_program
from post_gen_project import OF

Baked = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]
FILES = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/jobyard.yml"}
SCHEMAS = {
    "gitlab": ["--builtin-schema=vendor.gitlab-ci", "--data-transform=gitlab-ci"],
    "github": ["--builtin-schema=vendor.github-workflows"],
}
ENVIRONMENTS = ["dev", "dev, prod", "dev,staging-eu, prod,"]
ROOT = Path(__file__).resolve().parents[2]
RELEASED = ["dev", "staging", "prod"]
LINTER = Path(__file__).parent / "actionlint"


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A repository with these answers, made once and looked at by many tests, which leave it as it is."""
    folder = tmp_path_factory.mktemp("baked")

    def make(ci: str, environments: str = "dev, prod") -> Path:
        output = folder / hashlib.sha256(repr((ci, environments)).encode()).hexdigest()[:8]
        if output.exists():
            return output / "risk-jobs"
        answers = {"team": "risk", "ci": ci, "environments": environments}
        config = {"replay_dir": str(folder / "replay"), "cookiecutters_dir": str(folder / "cookiecutters")}
        (folder / "cookiecutter.yaml").write_text(yaml.safe_dump(config))
        made = cookiecutter(
            str(ROOT), no_input=True, extra_context=answers, output_dir=output, config_file=folder / "cookiecutter.yaml"
        )
        return Path(made)

    return make


def pipeline(repo: Path, ci: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((repo / FILES[ci]).read_text())
    return content


def commands(job: dict[str, Any]) -> list[str]:
    """What a job runs, in either service's words."""
    return [*job.get("script", []), *(step["run"] for step in job.get("steps", []) if "run" in step)]


@pytest.mark.parametrize("ci", FILES)
def test_it_runs_the_suites_of_the_chart(baked: Baked, ci: str) -> None:
    jobs = pipeline(baked(ci), ci)
    check = jobs["check"] if ci == "gitlab" else jobs["jobs"]["check"]
    assert "jobyard test-chart" in commands(check)


def test_a_repository_has_the_files_of_its_service_alone(baked: Baked) -> None:
    assert set(OF) == set(FILES)
    assert (baked("github") / FILES["github"]).is_file()
    assert not (baked("github") / FILES["gitlab"]).exists()
    assert (baked("gitlab") / FILES["gitlab"]).is_file()
    assert not (baked("gitlab") / ".github").exists()


def test_an_update_brings_the_other_services_files_not_back(
    tmp_path: Path, template: Path, run: Run, commit_all: Callable[[Path], None]
) -> None:
    answers = json.dumps({"team": "risk", "ci": "github"})
    options = ["--no-input", "--config-file", str(tmp_path / "cookiecutter.yaml"), "--extra-context", answers]
    made = run("cruft", "create", str(template), *options, "--output-dir", str(tmp_path / "made"))
    assert made.returncode == 0, made.stdout + made.stderr
    repo = tmp_path / "made" / "risk-jobs"
    commit_all(repo)
    for name in FILES.values():
        source = template / "{{cookiecutter.repo_name}}" / name
        source.write_text(source.read_text() + "# newer\n")
    commit_all(template)
    updated = run("cruft", "update", "--skip-apply-ask", cwd=repo)
    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert (repo / FILES["github"]).read_text().endswith("# newer\n")
    assert not (repo / FILES["gitlab"]).exists()


def test_another_service_is_no_answer(tmp_path: Path, template: Path, run: Run) -> None:
    made = run("cookiecutter", "--no-input", "--output-dir", str(tmp_path / "out"), str(template), "ci=jenkins")
    assert made.returncode != 0
    assert "jenkins" in made.stderr


@pytest.mark.parametrize("environments", ENVIRONMENTS)
@pytest.mark.parametrize("ci", FILES)
def test_the_file_fits_the_services_own_schema(baked: Baked, run: Run, ci: str, environments: str) -> None:
    checked = run("check-jsonschema", *SCHEMAS[ci], str(baked(ci, environments) / FILES[ci]))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("ci", FILES)
def test_the_schema_refuses_what_is_wrong(tmp_path: Path, run: Run, ci: str) -> None:
    (tmp_path / "wrong.yml").write_text("stages: 7\n" if ci == "gitlab" else "on: push\njobs: 7\n")
    assert run("check-jsonschema", *SCHEMAS[ci], str(tmp_path / "wrong.yml")).returncode == 1


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """The linter, built from its pinned module once."""
    content = b"".join(file.read_bytes() for file in sorted(LINTER.iterdir()))
    target = cache_dir() / f"actionlint-{hashlib.sha256(content).hexdigest()[:12]}"
    with one_builder(target.with_suffix(".lock")):
        if not target.exists():
            package, go = "github.com/rhysd/actionlint/cmd/actionlint", tools._go(print)
            build = [*go, "build", "-trimpath", "-buildvcs=false", "-o", str(target), package]
            run_program(build, what="building actionlint", cwd=LINTER, environment=tools._ENVIRONMENT)
    return target


def test_actionlint_finds_nothing_in_the_workflow(baked: Baked, actionlint: Path, tmp_path: Path) -> None:
    file = tmp_path / "workflow.yml"
    shutil.copy(baked("github", ENVIRONMENTS[-1]) / FILES["github"], file)
    linted = subprocess.run([actionlint, file], capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    file.write_text(file.read_text().replace("needs: [dev]", "needs: [deve]"))
    linted = subprocess.run([actionlint, file], capture_output=True, text=True, check=False)
    assert 'job "deve"' in linted.stdout + linted.stderr


@pytest.mark.parametrize("ci", FILES)
def test_the_first_environment_builds_and_each_later_one_copies_from_the_one_before(baked: Baked, ci: str) -> None:
    content = pipeline(baked(ci, ", ".join(RELEASED)), ci)
    jobs = content if ci == "gitlab" else content["jobs"]
    release = {name: [line for line in commands(jobs[name]) if line.startswith("jobyard")][-2:] for name in RELEASED}
    assert release == {
        "dev": ["jobyard images --environment dev --output images.json", sync("dev")],
        "staging": ["jobyard images --environment staging --from dev --output images.json", sync("staging")],
        "prod": ["jobyard images --environment prod --from staging --output images.json", sync("prod")],
    }


def sync(environment: str) -> str:
    return f"jobyard sync --environment {environment} --images images.json"


def test_gitlabs_jobs_run_one_after_the_other_and_by_hand_after_the_first(baked: Baked) -> None:
    content = pipeline(baked("gitlab"), "gitlab")
    assert [content[name]["resource_group"] for name in ("dev", "prod")] == ["dev", "prod"]
    assert [content[name]["environment"]["name"] for name in ("dev", "prod")] == ["dev", "prod"]
    default_branch = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
    assert content["dev"]["rules"] == [{"if": default_branch}]
    assert content["prod"]["rules"] == [{"if": default_branch, "when": "manual", "allow_failure": True}]
    assert content["default"]["interruptible"] is True
    assert content[".release"]["interruptible"] is False


def test_githubs_jobs_run_one_after_the_other_and_wait_for_the_environments_approval(baked: Baked) -> None:
    jobs = pipeline(baked("github"), "github")["jobs"]
    assert [jobs[name]["environment"] for name in ("dev", "prod")] == ["dev", "prod"]
    assert [jobs[name]["concurrency"] for name in ("dev", "prod")] == ["jobyard-dev", "jobyard-prod"]
    assert [jobs[name]["needs"] for name in ("dev", "prod")] == [["check"], ["dev"]]


def test_no_job_of_a_merge_request_can_get_rights_in_aws(baked: Baked) -> None:
    gitlab = pipeline(baked("gitlab"), "gitlab")
    assert {name for name, job in gitlab.items() if isinstance(job, dict) and "id_tokens" in job} == {".release"}
    assert {name for name, job in gitlab.items() if isinstance(job, dict) and "extends" in job} == {"dev", "prod"}


def test_a_pull_requests_jobs_may_only_read_and_comment(baked: Baked) -> None:
    workflow = pipeline(baked("github"), "github")
    assert workflow["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in workflow["jobs"].items()} == {
        "check": None,
        "plan": {"contents": "read", "pull-requests": "write"},
        "dev": {"contents": "read", "id-token": "write"},
        "prod": {"contents": "read", "id-token": "write"},
    }
    for name in ("dev", "prod"):
        assert workflow["jobs"][name]["if"] == "github.event_name == 'push'"


def test_every_action_is_pinned_by_its_commit(baked: Baked) -> None:
    text = (baked("github") / FILES["github"]).read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert len(used) > 2
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_installation_is_right_for_the_shells_of_both_services(baked: Baked, shell: str) -> None:
    checked = subprocess.run(
        [shell, "-n", baked("gitlab") / "ci" / "install.sh"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


GIT = """\
#!/bin/sh
echo "$*" >>"$LOG.asked"
echo "$GIT_CONFIG_KEY_0 $GIT_CONFIG_VALUE_0" >>"$LOG.told"
[ "$1" != init ] || { mkdir -p "$3/scripts" && printf '#!/bin/sh\\necho bootstrap "$@"\\n' >"$3/scripts/bootstrap.sh"; }
chmod +x "$3/scripts/bootstrap.sh" 2>/dev/null || true
"""


@pytest.mark.parametrize(
    ("variables", "login"),
    [
        ({}, ""),
        ({"CI_SERVER_HOST": "git.example.com", "CI_JOB_TOKEN": "job"}, "gitlab-ci-token:job"),
        ({"CI_SERVER_HOST": "other.example.com", "CI_JOB_TOKEN": "job"}, ""),
        ({"CI_SERVER_HOST": "git.example.com", "CI_JOB_TOKEN": "job", "JOBYARD_TEMPLATE_TOKEN": "own"}, "oauth2:own"),
        ({"JOBYARD_TEMPLATE_TOKEN": "reader:own"}, "reader:own"),
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_installation_logs_in_to_the_platforms_repository_without_a_token_on_a_command_line(
    baked: Baked, tmp_path: Path, shell: str, variables: dict[str, str], login: str
) -> None:
    (tmp_path / "git").write_text(GIT)
    (tmp_path / "git").chmod(0o755)
    state = {"template": "https://git.example.com/platform/jobyard.git", "commit": "c" * 40}
    (tmp_path / ".cruft.json").write_text(json.dumps(state))
    places = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path), "LOG": str(tmp_path / "log")}
    script = f". {baked('gitlab') / 'ci' / 'install.sh'}; echo $PATH"
    for _ in range(2):
        done = subprocess.run(
            [shell, "-c", script],
            cwd=tmp_path,
            env={**places, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    installed, path = done.stdout.splitlines()
    assert installed == "bootstrap --no-dev"
    (clone,) = (tmp_path / "jobyard" / "platform").glob("*/*")
    assert clone.name == "c" * 40
    assert path.startswith(f"{clone}/.venv/bin:")
    asked = (tmp_path / "log.asked").read_text()
    assert asked.count("fetch") == 1
    assert not any(secret in asked for secret in ("job ", "own"))
    header = f"Authorization: Basic {base64.b64encode(login.encode()).decode()}"
    told = f"http.https://git.example.com/.extraHeader {header}" if login else " "
    assert set((tmp_path / "log.told").read_text().splitlines()) == {told}


@pytest.mark.parametrize("ci", FILES)
def test_the_platforms_own_pipeline_that_is_documented_fits_the_schema(tmp_path: Path, run: Run, ci: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "pipelines.md").read_text(), re.M | re.S)
    (tmp_path / "pipeline.yml").write_text(dict(zip(FILES, blocks, strict=True))[ci])
    checked = run("check-jsonschema", *SCHEMAS[ci], str(tmp_path / "pipeline.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
