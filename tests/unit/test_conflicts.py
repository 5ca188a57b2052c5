"""Conflict marks that an upgrade or a merge left: found where they are read, and only where they are marks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jobyard_cli.check.run import check_repo
from jobyard_cli.team.conflicts import Conflict, conflicts

LEFT = "<<<<<<< ours\na: 1\n=======\na: 2\n>>>>>>> theirs\n"
SAID = "unresolved conflict of an upgrade or a merge: keep the right version, and remove lines"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LEFT, [Conflict(1, 3, 5)]),
        (f"x: 1\n{LEFT}y: 2\n{LEFT}", [Conflict(2, 4, 6), Conflict(8, 10, 12)]),
        (LEFT.replace("\n", "\r\n"), [Conflict(1, 3, 5)]),
        ("<<<<<<< ours\n||||||| base\na: 0\n=======\na: 2\n>>>>>>> theirs", [Conflict(1, 4, 6)]),
        (LEFT.replace("=======", "======="[:6]), []),
        (LEFT.replace(">>>>>>> ", "> "), []),
        ("".join(f"  {line}\n" for line in LEFT.splitlines()), []),
        (">>>>>>> a\n=======\n<<<<<<< b\n", []),
        ("Title\n=======\n", []),
        ("", []),
    ],
)
def test_a_conflict_is_three_marks_at_the_start_of_lines_in_order(text: str, found: list[Conflict]) -> None:
    assert list(conflicts(text)) == found


@pytest.mark.parametrize(
    "name",
    [
        "values/team.yaml",
        "values/node-groups.yaml",
        "values/task-types.yaml",
        "values/published-jobs.yaml",
        "values/environments/prod.yaml",
        "charts/team/templates/rolebindings.yaml",
        "charts/team/values.yaml",
        "schemas/job.schema.json",
        "README.md",
        ".gitlab-ci.yml",
        ".vscode/settings.json",
    ],
)
def test_marks_in_what_is_the_templates_are_one_finding(
    add_job: Callable[..., Path], team_repo: Path, name: str
) -> None:
    add_job("score")
    file = team_repo / name
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_text() if file.exists() else ""
    assert check_repo(team_repo).findings == []
    file.write_text(before + LEFT)
    first = before.count("\n") + 1
    marks = f"{first} (<<<<<<<), {first + 2} (=======) and {first + 4} (>>>>>>>)"
    assert [str(one) for one in check_repo(team_repo).findings] == [f"{name}:{first}:1: {SAID} {marks}"]


def test_what_is_no_text_or_too_long_for_one_is_passed_over(add_job: Callable[..., Path], team_repo: Path) -> None:
    add_job("score")
    (team_repo / "charts").mkdir()
    (team_repo / "charts" / "logo.png").write_bytes(b"\x89PNG\r\n\xff\xfe")
    (team_repo / "rows.csv").write_text(LEFT * 10_000)
    assert check_repo(team_repo).findings == []
