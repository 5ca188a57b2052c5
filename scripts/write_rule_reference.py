"""Write docs/rules.md, the reference of the check's rules, from jobs and files in tests/fixtures that violate them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from jobyard_cli.check.rules import RULES, Rule

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "rules.md"
JOBS = ROOT / "tests" / "fixtures" / "invalid"
"""Each folder has a job.yaml and the check's findings in expected.txt; an example has the right job in fixed.yaml."""
FILES = ROOT / "tests" / "fixtures" / "invalid_files"
"""Each folder is named after a rule, and has files of a repository in `wrong` and `fixed`, and expected.txt."""
LINK = ".link"
"""A file in `wrong` with this suffix stands for a symbolic link, and has its target."""
EXAMPLES: Mapping[Rule, str] = {
    "asset": "asset-of-another-team",
    "conflict": "merge-conflict",
    "const": "wrong-version",
    "cycle": "needs-in-a-circle",
    "date": "end-before-start",
    "deadline": "deadline-that-nobody-hears-of",
    "duplicate-key": "same-key-twice",
    "duration": "duration-of-zero",
    "empty": "no-tasks",
    "enum": "trigger-rule",
    "foreach": "foreach-over-a-foreach",
    "gate": "gate-without-a-test",
    "group": "group-named-as-a-task",
    "image": "unknown-image",
    "limit": "more-instances-than-the-runs-may-have",
    "name": "task-name",
    "needs": "need-that-is-not-there",
    "node-group": "unknown-node-group",
    "one-of": "alert-of-two-kinds",
    "other-job": "after-that-is-not-there",
    "param": "default-beyond-the-maximum",
    "pattern": "owner",
    "pool": "pool",
    "priority": "priority",
    "range": "negative-attempts",
    "required": "missing-image",
    "resources": "more-memory-than-the-machine",
    "schedule": "continuous-with-three-runs",
    "secrets": "variable-twice",
    "service-account": "service-account",
    "task-type": "type-with-an-image",
    "template": "output-of-what-is-not-before",
    "timeout": "longer-than-a-pod-may-run",
    "timezone": "timezone",
    "too-long": "duration-of-22-characters",
    "type": "number-in-env",
    "unique": "need-given-twice",
    "unknown-key": "unknown-key",
    "yaml": "template-without-quotes",
    "yaml-surprise": "time-without-quotes",
}
"""The folder in `JOBS` that is the example of a rule; rules about other files have one in `FILES`."""

INTRODUCTION = """\
# Rules of the check

<!-- Written by `make docs` from scripts/jobyard_cli/check/rules.py and tests/fixtures: change them there. -->

`jobyard check` reports each violation of a rule as `file:line:column: message`. Its other formats (`--format github`,
`gitlab`, `sarif` and `json`) also have the rule's id, which is the title of a section here. Ids do not change.

The rules `other-job`, `resources` and `timeout` also have warnings, which do not fail the check: a job that is not
released in every environment, memory after an OOM that only some environments' quotas allow, time limits that do not
fit each other. `notebook` and `secret-name` have warnings alone.

The examples belong to a team `risk` that may use the node groups default, high-cpu and high-memory, the service account
jobs, the pool warehouse, and the priorities low, normal and high, in an environment `prod`. Its images are
feature-generation, inference and xgboost; beside the example, it has a job `least`. Another team, `care`, has released
by-hand, claims and ingest.
"""


def render() -> str:
    """Return the whole page."""
    return INTRODUCTION + "".join(f"\n{_section(rule)}" for rule in RULES)


def _section(rule: Rule) -> str:
    parts = [f"## {rule}\n\n{RULES[rule]}\n", *(_of_job(EXAMPLES[rule]) if rule in EXAMPLES else _of_files(rule))]
    return "\n".join(parts)


def _of_job(name: str) -> Iterator[str]:
    folder = JOBS / name
    yield _block("yaml", folder / "job.yaml")
    yield "The check reports:\n"
    yield _block("text", folder / "expected.txt")
    yield "Without the mistake:\n"
    yield _block("yaml", folder / "fixed.yaml")


def _of_files(rule: Rule) -> Iterator[str]:
    folder = FILES / rule
    yield from _tree(folder / "wrong")
    yield "The check reports:\n"
    yield _block("text", folder / "expected.txt")
    yield "Without the mistake:\n"
    yield from _tree(folder / "fixed")


def _tree(top: Path) -> Iterator[str]:
    for file in sorted(filter(Path.is_file, top.rglob("*"))):
        name = file.relative_to(top).as_posix()
        if file.suffix == LINK:
            yield f"`{name.removesuffix(LINK)}` is a symbolic link to `{file.read_text().strip()}`.\n"
        else:
            yield f"`{name}`:\n"
            yield _block("yaml" if file.suffix == ".yaml" else "text", file)


def _block(language: str, file: Path) -> str:
    return f"```{language}\n{file.read_text(encoding='utf-8').rstrip()}\n```\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
