"""The linter of the English: what it reads of a file, and the budgets of the sources."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lint_prose import ROOT, budget_of, check, find, load_phrases

PHRASES = load_phrases()
PAGE = """\
A bad name is no
excuse: `is no` in code is not prose, nor is [a link](told.md), https://example.com/told
<!-- told -->
```
told
```
There is no pool, which is no longer needed.
"""
SOURCE = '''\
"""What
whom."""
told = f"anew {told}"  # mend
print(told)
'''


def lines(path: str, text: str) -> list[tuple[int, str]]:
    return sorted((finding.line, finding.text) for finding in find(path, text, PHRASES))


def test_of_a_page_prose_alone_is_read() -> None:
    assert lines("docs/page.md", PAGE) == [(1, "is no")]


def test_of_python_texts_and_comments_are_read() -> None:
    found = lines("scripts/x.py", SOURCE)
    assert {(2, "whom"), (3, "anew"), (3, "mend")} <= set(found)
    assert [line for line, _ in found if line == 4] == []


def test_a_finding_names_what_to_write() -> None:
    (finding,) = find("README.md", "Asked anew.\n", PHRASES)
    assert str(finding) == "README.md:1: 'anew': write 'again' (plain word)"
    (finding,) = find("README.md", "Simply run it.\n", PHRASES)
    assert str(finding) == "README.md:1: 'Simply': leave it out (adds nothing)"


@pytest.mark.parametrize(
    ("path", "budget"),
    [
        ("README.md", ""),
        ("docs/plan.md", ""),
        ("docs/job.md", "generated"),
        ("{{cookiecutter.repo_name}}/README.md", ""),
        ("{{cookiecutter.repo_name}}/.gitlab-ci.yml", "template"),
        ("scripts/jobyard_cli/errors.py", "scripts"),
        ("values/mwaa/README.md", ""),
    ],
)
def test_a_page_has_no_budget(path: str, budget: str) -> None:
    assert budget_of(path) == budget


def test_new_files_are_read_and_links_are_not(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "page.md").write_text("Told.\n")
    (tmp_path / "link.md").symlink_to("page.md")
    assert [str(finding).partition(" ")[0] for finding in check(tmp_path, PHRASES)] == ["page.md:1:"]


def test_every_phrase_is_explained() -> None:
    assert len(PHRASES) > 30
    assert [phrase.pattern.pattern for phrase in PHRASES if not phrase.why] == []
    assert (ROOT / "scripts" / "prose" / "known.yaml").is_file()
