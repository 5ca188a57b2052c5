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

import lint_workflows
import pytest
import yaml
from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
from post_gen_project import OF

from tests.support.git import commit_all
from tests.support.paths import ROOT

Baked = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]
FILES = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/jobyard.yml"}
SCHEMAS = {
    "gitlab": ["--builtin-schema=vendor.gitlab-ci", "--data-transform=gitlab-ci"],
    "github": ["--builtin-schema=vendor.github-workflows"],
}
ENVIRONMENTS = ["dev", "dev, prod", "dev,staging-eu, prod,"]
RELEASED = ["dev", "staging", "prod"]


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


def test_an_update_brings_the_other_services_files_not_back(tmp_path: Path, template: Path, run: Run) -> None:
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
    return lint_workflows.program(print)


def test_actionlint_finds_nothing_in_the_workflow(baked: Baked, actionlint: Path, tmp_path: Path) -> None:
    file = tmp_path / "workflow.yml"
    shutil.copy(baked("github", ENVIRONMENTS[-1]) / FILES["github"], file)
    linted = subprocess.run([actionlint, file], capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    file.write_text(file.read_text().replace("needs: [dev]", "needs: [deve]"))
    linted = subprocess.run([actionlint, file], capture_output=True, text=True, check=False)
    assert 'job "deve"' in linted.stdout + linted.stderr


@pytest.mark.parametrize("ci", FILES)
def test_the_first_environment_gets_what_was_built_and_each_later_one_copies_from_the_one_before(
    baked: Baked, ci: str
) -> None:
    content = pipeline(baked(ci, ", ".join(RELEASED)), ci)
    jobs = content if ci == "gitlab" else content["jobs"]
    built = {"gitlab": '"$CI_PROJECT_DIR/built-images"', "github": '"$RUNNER_TEMP/built-images"'}[ci]
    release = {name: [line for line in commands(jobs[name]) if line.startswith("jobyard")][-2:] for name in RELEASED}
    assert release == {
        "dev": [f"jobyard images --environment dev --built {built} --output images.json", sync("dev")],
        "staging": ["jobyard images --environment staging --from dev --output images.json", sync("staging")],
        "prod": ["jobyard images --environment prod --from staging --output images.json", sync("prod")],
    }


def sync(environment: str) -> str:
    return f"jobyard sync --environment {environment} --images images.json"


WITH_A_TOKEN = ["missing-images", "dev", "prod"]
RUNS_DOCKERFILES = re.compile(r"\bbuildah\b|jobyard build-images|jobyard images --environment \S+ --output")


@pytest.mark.parametrize("ci", FILES)
def test_no_job_that_can_get_rights_in_aws_builds_anything(baked: Baked, ci: str) -> None:
    content = pipeline(baked(ci), ci)
    jobs = content if ci == "gitlab" else content["jobs"]
    for name in WITH_A_TOKEN:
        assert [line for line in commands(jobs[name]) if line.startswith("jobyard images")]
        assert not [line for line in commands(jobs[name]) if RUNS_DOCKERFILES.search(line)]
    assert [line for line in commands(jobs["build-images"]) if RUNS_DOCKERFILES.search(line)]
    if ci == "gitlab":
        assert not {"id_tokens", "extends"} & set(jobs["build-images"])
        assert {name for name, job in jobs.items() if isinstance(job, dict) and "id_tokens" in job} == {".aws"}
    else:
        assert "permissions" not in jobs["build-images"]
        assert content["permissions"] == {"contents": "read"}


def test_gitlabs_jobs_with_rights_in_aws_start_from_nothing_that_another_job_may_have_written(baked: Baked) -> None:
    content = pipeline(baked("gitlab"), "gitlab")
    assert content[".aws"]["cache"] == []
    assert content[".aws"]["variables"] == {"GIT_STRATEGY": "none"}
    before = content[".aws"]["before_script"]
    assert before[0].startswith("work=$(mktemp -d) && trap 'rm -rf \"$work\"' EXIT")
    assert before[1].startswith('git clone --quiet "$CI_REPOSITORY_URL" "$work/clone" && cd "$work/clone"')
    assert not [line for line in before if "$CI_PROJECT_DIR" in line]
    for name in WITH_A_TOKEN:
        # Settings of a job replace those that it extends only where they have the same key.
        assert content[name]["extends"] == ".aws"
        assert "cache" not in content[name]
        assert set(content[name]["variables"]) == {"JOBYARD_ENVIRONMENT"}
        written = [line for line in content[name]["script"] if line.endswith('"$CI_PROJECT_DIR/"')]
        assert all(line.startswith("cp --remove-destination ") for line in written)
    assert content["dev"]["dependencies"] == ["build-images"]
    assert content["prod"]["dependencies"] == []


def test_githubs_jobs_with_rights_in_aws_start_from_nothing_that_another_job_may_have_written(baked: Baked) -> None:
    jobs = pipeline(baked("github"), "github")["jobs"]
    for name in WITH_A_TOKEN:
        used = [step["uses"].partition("@")[0] for step in jobs[name]["steps"] if "uses" in step]
        assert "actions/checkout" in used
        assert "actions/cache" not in used
    (download,) = [
        step for step in jobs["dev"]["steps"] if step.get("uses", "").startswith("actions/download-artifact@")
    ]
    assert download["with"] == {"name": "built-images", "path": "${{ runner.temp }}/built-images"}


def test_no_job_of_githubs_keeps_the_login_to_the_repository(baked: Baked) -> None:
    jobs = pipeline(baked("github"), "github")["jobs"]
    checkouts = [
        step["with"]["persist-credentials"]
        for job in jobs.values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts == [False] * len(jobs)


def test_githubs_release_gives_git_the_login_for_one_step_in_no_file(baked: Baked, tmp_path: Path) -> None:
    jobs = pipeline(baked("github"), "github")["jobs"]
    for name in ("dev", "prod"):
        (step,) = [step for step in jobs[name]["steps"] if "env" in step and "GITHUB_TOKEN" in step["env"]]
        assert step["run"] == sync(name)
        given = {name: str(value) for name, value in step["env"].items()}
        server = {"${{ github.token }}": "secret", "${{ github.server_url }}": "https://github.com"}
        for expression, value in server.items():
            given = {name: text.replace(expression, value) for name, text in given.items()}
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0", **given}
        for host, answer in {"github.com": "secret", "example.com": ""}.items():
            asked = f"protocol=https\nhost={host}\n\n"
            command = ["git", "credential", "fill"]
            filled = subprocess.run(
                command, input=asked, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
            )
            assert re.findall("^password=(.*)$", filled.stdout, re.M) == ([answer] if answer else [])


def test_gitlabs_jobs_run_one_after_the_other_and_by_hand_after_the_first(baked: Baked) -> None:
    content = pipeline(baked("gitlab"), "gitlab")
    assert [content[name]["resource_group"] for name in ("dev", "prod")] == ["dev", "prod"]
    assert [content[name]["environment"]["name"] for name in ("dev", "prod")] == ["dev", "prod"]
    default_branch = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
    assert content["dev"]["rules"] == [{"if": default_branch}]
    assert content["prod"]["rules"] == [{"if": default_branch, "when": "manual", "allow_failure": True}]
    assert content["default"]["interruptible"] is True
    assert content[".aws"]["interruptible"] is False


def test_githubs_jobs_run_one_after_the_other_and_wait_for_the_environments_approval(baked: Baked) -> None:
    jobs = pipeline(baked("github"), "github")["jobs"]
    assert [jobs[name]["environment"] for name in ("dev", "prod")] == ["dev", "prod"]
    assert [jobs[name]["concurrency"] for name in ("dev", "prod")] == ["jobyard-dev", "jobyard-prod"]
    assert [jobs[name]["needs"] for name in ("dev", "prod")] == [["check", "build-images"], ["dev"]]


def test_no_job_of_a_merge_request_can_get_rights_in_aws(baked: Baked) -> None:
    gitlab = pipeline(baked("gitlab"), "gitlab")
    assert {name for name, job in gitlab.items() if isinstance(job, dict) and "id_tokens" in job} == {".aws"}
    extending = {name for name, job in gitlab.items() if isinstance(job, dict) and "extends" in job}
    assert extending == set(WITH_A_TOKEN)
    for name in extending:
        assert all(rule["if"] == "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" for rule in gitlab[name]["rules"])


def test_a_pull_requests_jobs_may_only_read_and_comment(baked: Baked) -> None:
    workflow = pipeline(baked("github"), "github")
    assert workflow["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in workflow["jobs"].items()} == {
        "check": None,
        "plan": {"contents": "read", "pull-requests": "write"},
        "missing-images": {"contents": "read", "id-token": "write"},
        "build-images": None,
        "dev": {"contents": "read", "id-token": "write"},
        "prod": {"contents": "read", "id-token": "write"},
    }
    for name in WITH_A_TOKEN:
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
echo "$GIT_CONFIG_KEY_0 $GIT_CONFIG_VALUE_0" >>"$LOG.given"
if [ "$3" = fetch ] && [ -s "$LOG.failures" ]; then
    head -1 "$LOG.failures" >&2
    sed -i 1d "$LOG.failures"
    exit 128
fi
[ "$1" = init ] || exit 0
mkdir -p "$3/scripts"
cat >"$3/scripts/bootstrap.sh" <<'END'
echo bootstrap "$@"
bin=$(dirname "$0")/../.venv/bin
mkdir -p "$bin"
printf 'echo jobyard "$@"; git for-jobyard' >"$bin/jobyard"
chmod +x "$bin/jobyard"
END
chmod +x "$3/scripts/bootstrap.sh"
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
    installed, refreshed, path = done.stdout.splitlines()
    assert (installed, refreshed) == ("bootstrap --no-dev", "jobyard refresh")
    (clone,) = (tmp_path / "jobyard" / "platform").glob("*/*")
    assert clone.name == "c" * 40
    assert path.startswith(f"{clone}/.venv/bin:")
    asked = (tmp_path / "log.asked").read_text()
    assert asked.count("fetch") == 1
    assert not any(secret in asked for secret in ("job ", "own"))
    header = f"Authorization: Basic {base64.b64encode(login.encode()).decode()}"
    given = f"http.https://git.example.com/.extraHeader {header}" if login else " "
    assert set((tmp_path / "log.given").read_text().splitlines()) == {given}


def install(repo: Path, folder: Path, state: str | None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the installation with a stand-in for git, which writes down what it is asked."""
    (folder / "git").write_text(GIT)
    (folder / "git").chmod(0o755)
    if state is not None:
        (folder / ".cruft.json").write_text(state)
    places = {"PATH": f"{folder}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(folder), "LOG": str(folder / "log")}
    return subprocess.run(
        ["sh", "-c", f". {repo / 'ci' / 'install.sh'}; echo $JOBYARD_PLATFORM_URL"],
        cwd=folder,
        env={**places, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


GITLAB = {"CI_SERVER_URL": "https://git.example.com", "CI_SERVER_HOST": "git.example.com"}


@pytest.mark.parametrize(
    ("noted", "variables", "address"),
    [
        ("git@git.example.com:p/jobyard.git", GITLAB, "https://git.example.com/p/jobyard.git"),
        ("ssh://git@git.example.com:2222/p/jobyard.git", GITLAB, "https://git.example.com/p/jobyard.git"),
        (
            "git@github.com:p/jobyard.git",
            {"GITHUB_SERVER_URL": "https://github.com"},
            "https://github.com/p/jobyard.git",
        ),
        ("git@other.example.com:p/jobyard.git", GITLAB, "git@other.example.com:p/jobyard.git"),
        ("/srv/jobyard", {"JOBYARD_PLATFORM_URL": "https://git.example.com/p.git"}, "https://git.example.com/p.git"),
        ("/srv/jobyard", {}, "/srv/jobyard"),
    ],
)
def test_an_ssh_address_on_the_pipelines_own_server_is_taken_by_https(
    baked: Baked, tmp_path: Path, noted: str, variables: dict[str, str], address: str
) -> None:
    done = install(baked("gitlab"), tmp_path, json.dumps({"template": noted, "commit": "c" * 40}), **variables)
    assert done.stdout.splitlines()[-1:] == [address], done.stderr
    assert f"fetch --quiet --depth=1 -- {address} {'c' * 40}" in (tmp_path / "log.asked").read_text()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, ".cruft.json is missing, which says where this repository came from: restore it from git"),
        ("{", ".cruft.json can't be read (JSONDecodeError("),
        (
            '{"template": "", "commit": "c"}',
            'write the https address of the platform\'s repository under "template"',
        ),
        (
            '{"template": "x", "commit": ""}',
            "write the full id of a commit of the platform's repository",
        ),
    ],
)
def test_the_installation_says_what_is_missing_and_what_to_write(
    baked: Baked, tmp_path: Path, state: str | None, message: str
) -> None:
    done = install(baked("gitlab"), tmp_path, state)
    assert done.returncode == 1
    assert f"ci/install.sh: {message}" in done.stderr


BUSY = "fatal: unable to access 'https://git.example.com/': The requested URL returned error: 503"
LOST = "fatal: unable to access 'https://git.example.com/': Could not resolve host: git.example.com"
REFUSED = "fatal: Authentication failed for 'https://git.example.com/'"


@pytest.mark.parametrize(
    ("failures", "tries", "code"),
    [([BUSY, LOST], 3, 0), ([BUSY] * 9, 4, 1), ([REFUSED] * 9, 1, 1), ([LOST, REFUSED] * 9, 2, 1)],
    ids=["busy, then there", "busy for too long", "refused", "refused after a failure of the network"],
)
def test_the_installation_fetches_again_where_another_try_may_succeed(
    baked: Baked, tmp_path: Path, failures: list[str], tries: int, code: int
) -> None:
    (tmp_path / "log.failures").write_text("".join(f"{failure}\n" for failure in failures))
    (tmp_path / "sleep").write_text('#!/bin/sh\necho "$1" >>"$LOG.slept"\n')
    (tmp_path / "sleep").chmod(0o755)
    state = {"template": "https://git.example.com/platform/jobyard.git", "commit": "c" * 40}
    done = install(baked("gitlab"), tmp_path, json.dumps(state))
    assert done.returncode == code, done.stderr
    assert (tmp_path / "log.asked").read_text().count(" fetch ") == tries
    assert ("can't be fetched" in done.stderr) == bool(code)
    assert failures[0] in done.stderr
    pauses = (tmp_path / "log.slept").read_text().split() if tries > 1 else []
    assert pauses == ["2", "5", "15"][: tries - 1]


def test_the_installation_says_why_the_platform_cannot_be_fetched(baked: Baked, tmp_path: Path) -> None:
    state = {"template": str(tmp_path / "nowhere"), "commit": "c" * 40}
    (tmp_path / ".cruft.json").write_text(json.dumps(state))
    done = subprocess.run(
        ["sh", "-c", f". {baked('gitlab') / 'ci' / 'install.sh'}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"commit {'c' * 40} of {tmp_path / 'nowhere'} can't be fetched" in done.stderr
    assert "JOBYARD_PLATFORM_URL" in done.stderr
    assert "JOBYARD_TEMPLATE_TOKEN" in done.stderr


@pytest.mark.parametrize("ci", FILES)
def test_the_platforms_own_pipeline_that_is_documented_fits_the_schema(tmp_path: Path, run: Run, ci: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "pipelines.md").read_text(), re.M | re.S)
    # The platform's files first, then the list of released jobs.
    of_service = blocks[list(FILES).index(ci) :: len(FILES)]
    assert len(of_service) == 2
    for number, block in enumerate(of_service):
        (tmp_path / f"{number}.yml").write_text(block)
    checked = run("check-jsonschema", *SCHEMAS[ci], str(tmp_path / "0.yml"), str(tmp_path / "1.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
