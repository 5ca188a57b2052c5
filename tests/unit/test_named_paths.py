"""Every path of this repository that its pages and its code's comments name is there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

TEAM = ROOT / "{{cookiecutter.repo_name}}"
FOLDERS = "benchmarks|charts|dags|docs|hooks|images|schemas|scripts|tests|values"
NAMED = re.compile(rf"(?<![\w/.<>*:}}-])((?:{FOLDERS})/[\w./-]*\w)(?![\w<*{{/-]|\.\w)")
"""A path from the top folder; one with a placeholder in it is none."""
TEST = re.compile(r"(?<![\w/])(test_[a-z0-9_]+\.py)\b")
MADE = re.compile(
    r"dags/(risk|fraud|a|jobyard/(platform\.json|loaders\.json|prices\.yaml)|check-day|score|score-records|train-model"
    r"|train-on-gpu|ingest-consultations|JOB)\b.*"
    r"|(dags|images)/(features|features-to-inference|inference|rates|shop)\b.*"
    r"|values/(published-jobs(\.yaml|/.*)?|team\.yaml|teams/(fraud|NAME)\.yaml|environments/staging\.yaml)"
)
"""What commands, teams and pipelines make, and what stands for a name in an example."""


def _tracked(*patterns: str) -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def _texts() -> Iterator[tuple[str, str]]:
    """Pages as a whole, and of code the comments and docstrings."""
    # Examples of the check's rules, and what commands print in tests, name files of teams.
    for file in _tracked("*.md", ":!docs/rules.md", ":!tests/fixtures"):
        yield file.relative_to(ROOT).as_posix(), file.read_text()
    for file in _tracked("*.py"):
        parts = re.findall(r'"""(.*?)"""|^\s*#(.*?)$', file.read_text(), re.S | re.M)
        yield file.relative_to(ROOT).as_posix(), "\n".join(docstring or comment for docstring, comment in parts)


def stale(text: str) -> list[str]:
    """Paths and names of tests in a text that are not there."""
    paths = [name for name in NAMED.findall(text) if not MADE.fullmatch(name)]
    missing = [name for name in paths if not (ROOT / name).exists() and not (TEAM / name).exists()]
    tests = {file.name for file in (ROOT / "tests").rglob("test_*.py")}
    return missing + [name for name in TEST.findall(text) if name not in tests]


def test_what_is_named_is_there() -> None:
    texts = dict(_texts())
    assert len(texts) > 100
    assert {name: found for name, text in texts.items() if (found := stale(text))} == {}


def test_a_name_that_is_not_there_would_be_found() -> None:
    text = "see `tests/end_to_end/test_attacks.py`, test_gone.py, docs/none.md and values/mwaa/README.md"
    assert stale(text) == ["tests/end_to_end/test_attacks.py", "docs/none.md", "test_gone.py"]
