"""The tutorial's page, run as it stands: here the part that needs no platform."""

from __future__ import annotations

from pathlib import Path

from tests.support import pages, tutorial


def test_its_commands_print_what_it_shows(tmp_path: Path, first_template: Path) -> None:
    (work := tmp_path / "work").mkdir()
    page = tutorial.before_the_platform()
    commands = [block.line for block in page if block.is_command]
    ran = pages.run(page, work, tutorial.environment(first_template, tmp_path))
    assert ran.code == 0, ran.last
    assert [*ran.printed] == commands
    assert len(commands) >= 8
    assert pages.differences(page, ran) == []
    # Ready for the other part: all is committed, and the secret is in no commit.
    repo = work / "shop-jobs"
    assert (repo / "images" / "shop" / "Dockerfile").is_file()
    assert "made-up" not in "".join(file.read_text() for file in repo.rglob("job.yaml"))
