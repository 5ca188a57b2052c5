"""`jobyard upgrade`: a repository of an earlier commit of the template is brought to a later one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.git import commit_all, git

IN_TEMPLATE = "{{cookiecutter.repo_name}}"
Run = Callable[..., subprocess.CompletedProcess[str]]


def head(repo: Path) -> str:
    return git(repo, "rev-parse", "HEAD")


def template_commit(repo: Path) -> str:
    """The commit of the template that the repository says it is at."""
    return str(json.loads((repo / ".cruft.json").read_text())["commit"])


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


@pytest.fixture
def upgrade(crufted: Path, run: Run) -> Run:
    """Run the command in the team's repository."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run("jobyard", "upgrade", *arguments, cwd=crufted)

    return call


def test_the_platforms_part_comes_and_the_teams_edits_stay(
    crufted: Path, template: Path, upgrade: Run, run: Run
) -> None:
    before = template_commit(crufted)
    assert run("jobyard", "new", "score", cwd=crufted).returncode == 0
    replace(crufted / "values" / "team.yaml", "high: 3000", "high: 4000")
    append(crufted / "images" / "inference" / "requirements.in", "lightgbm\n")
    (crufted / "Makefile").write_text("all:\n")
    append(crufted / ".gitignore", "notes/\n")
    replace(crufted / "README.md", "Batch jobs of team risk.", "Batch jobs of the best team.")
    commit_all(crufted)
    mine = {name: (crufted / name).read_text() for name in ("values/team.yaml", "Makefile", "dags/score/job.yaml")}
    mine["images/inference/requirements.in"] = (crufted / "images/inference/requirements.in").read_text()

    append(template / "charts" / "team" / "values.yaml", "# newer\n")
    append(template / "images" / "inference" / "requirements.in", "newer\n")
    append(template / IN_TEMPLATE / "values" / "team.yaml", "# newer\n")
    append(template / IN_TEMPLATE / "README.md", "Newer: {{ cookiecutter.team }}.\n")
    (template / "schemas" / "other.schema.json").write_text("{}\n")
    (template / IN_TEMPLATE / ".editorconfig").unlink()
    (template / IN_TEMPLATE / "dags" / "README.md").rename(template / IN_TEMPLATE / "JOBS.md")
    commit_all(template)

    team_commit = head(crufted)
    upgraded = upgrade()
    assert (upgraded.returncode, upgraded.stderr) == (0, "")
    assert upgraded.stdout.splitlines()[0] == f"the template's {before[:12]} -> {head(template)[:12]}"
    changed = {line.strip() for line in upgraded.stdout.splitlines()[1:-1]}
    assert changed == {
        "M .cruft.json",
        "D  .editorconfig",
        "A  JOBS.md",
        "M  README.md",
        "M  charts/team/values.yaml",
        "A  schemas/other.schema.json",
    }
    assert {name: (crufted / name).read_text() for name in mine} == mine
    assert "notes/" in (crufted / ".gitignore").read_text()
    readme = (crufted / "README.md").read_text()
    assert "Batch jobs of the best team." in readme
    assert readme.endswith("Newer: risk.\n")
    # What [tool.cruft] skip names is the team's, also where the template moves it away.
    assert (crufted / "dags" / "README.md").is_file()
    assert template_commit(crufted) == head(template)
    assert head(crufted) == team_commit
    assert run("jobyard", "check", cwd=crufted).stdout == "1 job, no problems\n"


def test_there_may_be_nothing_to_do(crufted: Path, template: Path, upgrade: Run) -> None:
    at = template_commit(crufted)
    nothing = f"nothing to do: the template has nothing newer for this repository than {at[:12]}\n"
    assert (upgrade().returncode, upgrade().stdout) == (0, nothing)
    # The template is the platform's repository, in which most commits are about other things.
    (template / "values" / "teams" / "fraud.yaml").write_text("teams: {}\n")
    commit_all(template)
    upgraded = upgrade()
    assert (upgraded.returncode, upgraded.stdout) == (0, nothing)
    assert git(crufted, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["values/environments/prod.yaml", "values/teams/risk.yaml", "scripts/new.py"])
def test_what_only_the_pipelines_use_is_a_reason_for_a_later_commit(
    crufted: Path, template: Path, upgrade: Run, name: str
) -> None:
    (template / name).parent.mkdir(exist_ok=True)
    with open(template / name, "a") as file:
        file.write("# newer\n")
    commit_all(template)
    upgraded = upgrade()
    assert (upgraded.returncode, upgraded.stderr) == (0, "")
    assert "  M .cruft.json\n" in upgraded.stdout
    assert template_commit(crufted) == head(template)


def test_a_commit_of_the_template_can_be_asked_for(crufted: Path, template: Path, upgrade: Run) -> None:
    for text in ("# one\n", "# two\n"):
        append(template / "charts" / "team" / "values.yaml", text)
        commit_all(template)
    upgraded = upgrade("--checkout", "HEAD~1")
    assert upgraded.returncode == 0, upgraded.stderr
    assert (crufted / "charts" / "team" / "values.yaml").read_text().endswith("# one\n")


def test_where_both_changed_the_same_lines_a_person_decides_and_nothing_is_committed(
    crufted: Path, template: Path, upgrade: Run, run: Run
) -> None:
    head_line = (crufted / "charts" / "team" / "values.yaml").read_text().splitlines()[0]
    replace(crufted / "charts" / "team" / "values.yaml", head_line, "# ours")
    replace(crufted / "schemas" / "job.schema.json", "\n", "\n\n")
    commit_all(crufted)
    replace(template / "charts" / "team" / "values.yaml", head_line, "# theirs")
    replace(template / "schemas" / "job.schema.json", "\n", '\n  "$comment": "newer",\n')
    append(template / IN_TEMPLATE / "README.md", "Newer.\n")
    commit_all(template)

    team_commit = head(crufted)
    upgraded = upgrade()
    assert (upgraded.returncode, upgraded.stderr) == (1, "")
    said = "unresolved conflict of an upgrade or a merge: keep the right version, and remove lines"
    wanted = [
        f"charts/team/values.yaml:1:1: {said} 1 (<<<<<<<), 3 (=======) and 5 (>>>>>>>)",
        f"schemas/job.schema.json:2:1: {said} 2 (<<<<<<<), 4 (=======) and 6 (>>>>>>>)",
    ]
    told = upgraded.stdout.splitlines()
    at = told.index("to decide, as both this repository and the template changed them:")
    assert told[at + 1 :] == [
        *(f"  {line}" for line in wanted),
        "then run `jobyard check` and commit; to undo the upgrade: git reset --hard",
    ]
    assert (crufted / "README.md").read_text().endswith("Newer.\n")
    assert head(crufted) == team_commit

    # What if somebody commits it as it is?
    commit_all(crufted)
    checked = run("jobyard", "check", cwd=crufted)
    assert checked.returncode == 1
    assert checked.stdout.splitlines() == [*wanted, "2 problems in 2 files"]
    assert upgrade().stdout.startswith("nothing to do")


def test_a_file_that_the_template_removes_and_the_team_changed_is_not_lost(
    crufted: Path, template: Path, upgrade: Run
) -> None:
    replace(crufted / ".editorconfig", "root = true", "root = false")
    replace(crufted / "README.md", "## Add a job", "## Ours")
    commit_all(crufted)
    (template / IN_TEMPLATE / ".editorconfig").unlink()
    replace(template / IN_TEMPLATE / "README.md", "## Add a job", "## Theirs")
    append(template / IN_TEMPLATE / "README.md", "Newer.\n")
    commit_all(template)
    # git gives up merging for all files where one of them is to be removed and does not look as it should.
    upgraded = upgrade()
    assert (upgraded.returncode, upgraded.stderr) == (1, "")
    assert upgraded.stdout.partition("changed them:\n")[2].splitlines() == [
        "  README.md.rej: part of the template's change could not be applied; apply it by hand, then delete this file",
        "  .editorconfig: patch does not apply; the template's change to this file was skipped: "
        "make it by hand, or ignore it",
        "then run `jobyard check` and commit; to undo the upgrade: git reset --hard",
    ]
    assert "root = false" in (crufted / ".editorconfig").read_text()
    assert "## Ours" in (crufted / "README.md").read_text()
    assert (crufted / "README.md").read_text().endswith("Newer.\n")
    # git ignores what is left, so a look for changes would not see it.
    commit_all(crufted)
    again = upgrade()
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == (
        "README.md.rej: left over from an earlier upgrade; apply the change by hand, then delete this file\n"
    )


def test_a_file_that_the_template_adds_and_the_team_has_already_is_not_lost(
    crufted: Path, template: Path, upgrade: Run
) -> None:
    (crufted / "Makefile").write_text("ours:\n")
    commit_all(crufted)
    (template / IN_TEMPLATE / "Makefile").write_text("theirs:\n")
    commit_all(template)
    upgraded = upgrade()
    assert upgraded.returncode == 1
    assert "  Makefile" in upgraded.stdout.partition("to decide")[2]
    assert "ours:\n" in (crufted / "Makefile").read_text()


def test_changes_that_are_in_no_commit_stop_it(crufted: Path, upgrade: Run) -> None:
    append(crufted / "README.md", "mine\n")
    (crufted / "new.txt").write_text("")
    stopped = upgrade()
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert stopped.stderr.splitlines() == [
        "there are uncommitted changes; commit or stash them first:",
        " M README.md",
        "?? new.txt",
    ]


def test_a_repository_that_does_not_say_where_it_came_from_stops_it(crufted: Path, upgrade: Run) -> None:
    (crufted / ".cruft.json").write_text("{}")
    stopped = upgrade()
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert stopped.stderr == f"{crufted}/.cruft.json does not have the commit of the template: 'commit'\n"
    (crufted / ".cruft.json").write_text('{"template": "", "commit": ""}')
    assert "to the address of the platform's repository and the commit" in upgrade().stderr
    (crufted / ".cruft.json").unlink()
    why = "run this in the repository's top folder, or restore the file from git"
    assert upgrade().stderr == f"{crufted}/.cruft.json is missing: {why}\n"


def test_a_template_that_is_gone_is_named(crufted: Path, template: Path, upgrade: Run) -> None:
    shutil.rmtree(template)
    stopped = upgrade()
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert stopped.stderr.startswith(
        f"Unable to initialize the cookiecutter using {template}! Failed to clone the repo."
    )
    assert "Traceback" not in stopped.stderr
