"""Checks the English of the documentation, and of messages, help and comments, against scripts/prose/style.yaml.

Pages must have no finding. Sources have a budget for each folder, in scripts/prose/known.yaml, which may only shrink:
`--renew` writes today's counts where they are lower.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
STYLE = ROOT / "scripts" / "prose" / "style.yaml"
KNOWN = ROOT / "scripts" / "prose" / "known.yaml"
CHECKED = ("*.md", "*.py", "*.sh", "*.yaml", "*.yml", "*.json", "Makefile")
BUDGETED = ("argocd", "benchmarks", "charts", "dags", "hooks", "images", "schemas", "scripts", "tests", "values")
GENERATED = ("docs/job.md", "docs/values.md", "docs/rules.md", "benchmarks/RESULTS.md")
"""Pages that programs write; the budget covers these, as it covers their sources."""
SKIPPED = re.compile(
    r"scripts/prose/|tests/fixtures/|tests/.*/golden/|.*\.schema\.json$|tests/unit/test_lint_prose\.py$"
)
TEXTS = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)|`[^`\n]+`|\]\([^)\s]*\)|<!--.*?-->|https?://\S+", re.M | re.S)


@dataclass(frozen=True)
class Phrase:
    """A phrase to avoid, what to write instead, and why."""

    pattern: re.Pattern[str]
    better: str
    why: str


@dataclass(frozen=True)
class Finding:
    """One phrase in one file; lines count from 1."""

    path: str
    line: int
    text: str
    phrase: Phrase

    def __str__(self) -> str:
        advice = f"write '{self.phrase.better}'" if self.phrase.better else "leave it out"
        return f"{self.path}:{self.line}: '{self.text}': {advice} ({self.phrase.why})"


def load_phrases(file: Path = STYLE) -> list[Phrase]:
    """The phrases of a style file."""
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))["phrases"]
    return [Phrase(_pattern(entry["phrase"]), entry["better"], entry["why"]) for entry in entries]


def _pattern(phrase: str) -> re.Pattern[str]:
    spaced = phrase.replace(" ", r"\s+") if "(?<!" not in phrase else phrase
    return re.compile(rf"\b(?:{spaced})\b", re.I)


def find(path: str, text: str, phrases: Iterable[Phrase]) -> Iterator[Finding]:
    """A finding for each phrase in the prose of one file."""
    prose = _prose(path, text)
    for phrase in phrases:
        for match in phrase.pattern.finditer(prose):
            yield Finding(path, prose.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), phrase)


def _prose(path: str, text: str) -> str:
    """The text with what is not prose blanked out, so that lines keep their numbers."""
    if path.endswith(".md"):
        return CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
    return _python_prose(text) if path.endswith(".py") else text


def _python_prose(text: str) -> str:
    """The strings and comments of a Python file, each on its own lines."""
    lines = [""] * (text.count("\n") + 2)
    for token in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__):
        if token.type not in TEXTS:
            continue
        for number, part in enumerate(token.string.split("\n"), token.start[0] - 1):
            lines[number] += f" {part}"
    return "\n".join(lines)


def check(root: Path, phrases: list[Phrase]) -> list[Finding]:
    """The findings in every tracked or new file, by path and line."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CHECKED]
    names = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [name for name in sorted(set(names)) if name and (root / name).is_file() and not SKIPPED.match(name)]
    found: list[Finding] = []
    for name in files:
        if not (root / name).is_symlink():
            found += find(name, (root / name).read_text(encoding="utf-8"), phrases)
    return sorted(found, key=lambda finding: (finding.path, finding.line))


def budget_of(path: str) -> str:
    """The budget that a file's findings count for; "" for a page, which has none."""
    if path in GENERATED:
        return "generated"
    top = path.partition("/")[0]
    if top == "{{cookiecutter.repo_name}}" and not path.endswith(".md"):
        return "template"
    return top if top in BUDGETED and not path.endswith(".md") else ""


def main(arguments: list[str]) -> int:
    """Print the findings over budget; 1 if there are any.

    `--all` prints every finding, `--renew` lowers the budgets.
    """
    known: dict[str, int] = yaml.safe_load(KNOWN.read_text(encoding="utf-8"))
    found = check(ROOT, load_phrases())
    counts = Counter(budget_of(finding.path) for finding in found)
    if "--renew" in arguments:
        lower = {name: min(count, counts[name]) for name, count in known.items()}
        KNOWN.write_text(_as_yaml(lower), encoding="utf-8")
        return 0
    over = {name for name, count in counts.items() if count > known.get(name, 0)}
    shown = [finding for finding in found if "--all" in arguments or budget_of(finding.path) in over]
    for finding in shown:
        print(finding)
    for name in sorted(over - {""}):
        print(f"{name}: {counts[name]} findings; scripts/prose/known.yaml allows {known.get(name, 0)}")
    return int(bool(over))


def _as_yaml(known: dict[str, int]) -> str:
    comment = KNOWN.read_text(encoding="utf-8").partition("\n")[0]
    return f"{comment}\n{yaml.safe_dump(known)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
