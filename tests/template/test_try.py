"""`make try`: runs as README shows it, and touches nothing but its own folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from try_jobyard import main

README = Path(__file__).resolve().parents[2] / "README.md"


def shown() -> list[str]:
    """The lines of README's block that `make try` prints, but for the lines that it leaves out."""
    (block,) = re.findall(r"^```text\n(.*?)^```", README.read_text(), re.M | re.S)
    return [line for line in block.splitlines() if line.strip() not in ("", "…")]


def general(text: str) -> str:
    """Without commits and days, which differ from run to run."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "<commit>", text)
    return re.sub(r"\b[A-Z][a-z]{2} \d{4}-\d\d-\d\d\b", "<day>", text)


def test_readme_shows_what_it_prints(tmp_path: Path, template: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = main(str(tmp_path / "tried"), template)
    output, errors = capfd.readouterr()
    assert code == 0, output + errors
    printed = iter(general(output).splitlines())
    lines = [general(line) for line in shown()]
    assert len(lines) > 10
    # `in` goes on where the line before was found, so the order counts too.
    assert [line for line in lines if line not in printed] == []
    assert {path.name for path in (tmp_path / "tried").iterdir()} == {".cache", "fraud-jobs", "jobyard"}


def test_it_leaves_a_folder_that_has_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine\n")
    assert main(str(tmp_path)) == 1
    assert f"FOLDER must be empty or new; got {tmp_path}, which has files" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_it_needs_a_clone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(str(tmp_path / "tried"), tmp_path) == 1
    assert "must be a git clone of Jobyard" in capfd.readouterr().err
