"""Every way to make a team's repository ends in the same one, whose pipeline runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import pipelines
from tests.support.git import commit_all, git
from tests.support.paths import ROOT
from tests.template.test_bake import tree

WAYS = ("folder", "address", "zip", "cruft", "team-new")
ANSWERS = {"team": "fraud", "owner": "fraud@example.com", "environments": "dev"}
REPO_URL = "https://git.example.com/fraud/fraud-jobs.git"
JOB = """\
apiVersion: jobyard/v1
schedule: "@daily"
tasks: {score: {image: inference}}
"""


@dataclass(frozen=True)
class Platform:
    """The platform's repository as it is on disk now: a work tree, its origin, and an archive that git made."""

    tree: Path
    origin: Path
    archive: Path

    @property
    def commit(self) -> str:
        return git(self.tree, "rev-parse", "HEAD")


@dataclass(frozen=True)
class Made:
    """A repository, and what a person read while it was made."""

    repo: Path
    said: str

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.repo / ".cruft.json").read_text())
        return state


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder = tmp_path_factory.mktemp("platform")
    tree, origin = folder / "jobyard", folder / "jobyard.git"
    tree.mkdir()
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    there = [name for name in names if name and os.path.lexists(ROOT / name)]
    subprocess.run(["cp", "--parents", "--no-dereference", *there, str(tree)], cwd=ROOT, check=True)
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message=All")
    git(folder, "clone", "--quiet", "--bare", str(tree), str(origin))
    git(tree, "remote", "add", "origin", str(origin))
    git(tree, "fetch", "--quiet", "origin")
    git(tree, "archive", "--prefix=jobyard-main/", "--output", str(folder / "jobyard-main.zip"), "HEAD")
    return Platform(tree, origin, folder / "jobyard-main.zip")


def command(way: str, platform: Platform, config: str, output: Path) -> list[str]:
    answers = [f"{name}={value}" for name, value in ANSWERS.items()]
    plain = ["cookiecutter", "--config-file", config, "--no-input", "--output-dir", str(output)]
    match way:
        case "folder":
            # As a person writes it, relative to where he is.
            return [*plain, "jobyard", *answers]
        case "address":
            return [*plain, f"file://{platform.origin}", *answers]
        case "zip":
            return [*plain, str(platform.archive), *answers]
        case "cruft":
            options = ["--no-input", "--config-file", config, "--output-dir", str(output)]
            return ["cruft", "create", str(platform.origin), *options, "--extra-context", json.dumps(ANSWERS)]
        case _:
            options = ["--owner", ANSWERS["owner"], "--repo-url", REPO_URL, "--environments", ANSWERS["environments"]]
            return ["jobyard", "team", "new", "fraud", *options, "--repo", "jobyard", "--output", str(output)]


@pytest.fixture(scope="module")
def made(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """A repository in each of the ways, with no configuration of the user's."""
    folder = tmp_path_factory.mktemp("made")
    config = folder / "cookiecutter.yaml"
    config.write_text(f"replay_dir: {folder}/replay\ncookiecutters_dir: {folder}/cookiecutters\n")
    found = {}
    for way in WAYS:
        output = folder / way
        output.mkdir()
        words = command(way, platform, str(config), output)
        program = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        done = subprocess.run(
            program, cwd=platform.tree.parent, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{way}: {done.stdout}{done.stderr}"
        found[way] = Made(output / "fraud-jobs", done.stdout + done.stderr)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_the_repository_says_where_it_came_from(way: str, made: dict[str, Made], platform: Platform) -> None:
    # Nothing in an archive says where the platform's repository is; what to do about it is among the last lines.
    expected = "" if way == "zip" else str(platform.origin)
    state = made[way].state
    assert (state["template"], state["commit"]) == (expected, platform.commit)
    assert state["context"]["cookiecutter"]["_template"] == expected
    assert state["context"]["cookiecutter"]["_commit"] == platform.commit


@pytest.mark.parametrize("way", WAYS[1:])
def test_every_way_makes_the_same_files(way: str, made: dict[str, Made]) -> None:
    files, others = tree(made["folder"].repo), tree(made[way].repo)
    assert len(files) > 40
    noted, theirs = files.pop(".cruft.json"), others.pop(".cruft.json")
    assert others == files
    if way in ("address", "cruft"):
        assert theirs == noted


def test_plain_cookiecutter_ends_with_what_to_mend_and_what_comes_next(
    made: dict[str, Made], platform: Platform
) -> None:
    said = made["folder"].said
    assert f"Made the repository fraud-jobs of team fraud from {platform.origin} at {platform.commit[:12]}\n" in said
    assert f"  ! {platform.origin} is on this machine, where pipelines can't reach it: answer platform_url=" in said
    assert f"jobyard team new fraud --owner {ANSWERS['owner']} --repo-url {REPO_URL} --file-only" in said
    assert "no commit" not in said
    assert "  ! nothing says where the platform's repository is: answer platform_url=" in made["zip"].said
    assert "  ! " not in made["cruft"].said


def test_the_pipeline_of_a_merge_request_runs_in_what_plain_cookiecutter_made(
    made: dict[str, Made], platform: Platform, tmp_path: Path
) -> None:
    """All the ways make the same files, as is shown above, so that one pipeline stands for all."""
    repo = tmp_path / "fraud-jobs"
    subprocess.run(["cp", "-a", str(made["folder"].repo), str(repo)], check=True)
    commit_all(repo)
    base = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "--quiet", "--create", "score")
    (repo / "dags" / "score").mkdir()
    (repo / "dags" / "score" / "job.yaml").write_text(JOB)
    commit_all(repo)
    said = pipelines.Runner(repo, pipelines.caches(tmp_path / "cache")).merge_request(base)
    assert f"commit {platform.commit[:12]} of the platform's branch main, fetched just now" in said
    assert "1 job, no problems" in said
    assert "objects, no problems" in said
    assert "Airflow 3.3.1 has all 1 DAGs" in said
    plan = (repo / "plan.md").read_text()
    assert plan.startswith("### Plan for team `fraud`\n\n**1 job added** compared with")
    assert f"commit {platform.commit[:12]} of the platform's branch main, fetched" in plan
