"""Refuses answers that would not make a working team repository, all at once, and says what would be right.

cookiecutter renders this file and runs it before it writes anything. It imports nothing of Jobyard, which need not
be installed where cookiecutter or cruft is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

ANSWERS = r"""{{ cookiecutter | tojson }}"""

LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
URL = re.compile(r"((https|ssh|git|file)://|[A-Za-z0-9_-]+@[A-Za-z0-9.-]+:)[A-Za-z0-9@:._~/+-]+")
PLATFORM_URL = re.compile(r"https?://[A-Za-z0-9:._~/+-]+")
RESERVED = ("jobyard", "platform", "airflow", "argocd", "default")
BAND = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
HIGHEST_PRIORITY = 1_000_000_000
LONGEST_TEAM = 40
"""Leaves room for `team-` and a suffix in a namespace's 63 characters."""
LONGEST_REPO = 63
STAGES = ("check", "chart", "dags", "plan")
"""Jobs of the pipeline, beside those that are named as the environments."""


def problems(answers: Mapping[str, Any]) -> list[str]:
    """Return every problem of the answers, one line each."""
    return [
        *label_problems("team", answers["team"], LONGEST_TEAM),
        *reserved_problems(answers["team"]),
        *email_problems(answers["owner"]),
        *label_problems("repo_name", answers["repo_name"], LONGEST_REPO),
        *url_problems(answers["repo_url"]),
        *node_group_problems(answers["allowed_node_groups"]),
        *band_problems(answers["priority_band"]),
        *environment_problems(answers["environments"]),
        *platform_url_problems(answers.get("platform_url", "")),
    ]


def label_problems(answer: str, value: str, longest: int) -> Iterator[str]:
    """Yield the problem of a name (RFC 1123 label that starts with a letter)."""
    if LABEL.fullmatch(value) and len(value) <= longest:
        return
    suggestion = suggest_label(value, longest)
    yield (
        f"{answer} '{value}' is not a DNS label (lower-case letters, digits and '-', starting with a letter, "
        f"at most {longest} characters)" + (f"; try '{suggestion}'" if suggestion else "")
    )


def suggest_label(value: str, longest: int) -> str:
    """Return the nearest valid name, or "" if nothing is left of it."""
    dashed = re.sub(r"[^a-z0-9]+", "-", value.lower())
    return re.sub(r"^[^a-z]+", "", dashed)[:longest].rstrip("-")


def reserved_problems(team: str) -> Iterator[str]:
    """Refuse names that the platform uses itself, for folders of the bucket and for namespaces."""
    if team in RESERVED or team.startswith("kube-"):
        yield f"team '{team}' is reserved for the platform (so are {', '.join(RESERVED)} and kube-*); try 'team-{team}'"


def email_problems(owner: str) -> Iterator[str]:
    if not EMAIL.fullmatch(owner):
        yield f"owner '{owner}' is not an e-mail address; write one like risk-ml@example.com"


def url_problems(url: str) -> Iterator[str]:
    if not URL.fullmatch(url):
        yield (
            f"repo_url '{url}' is not the address of a git repository; "
            "write one like https://git.example.com/risk/risk-jobs.git"
        )


def node_group_problems(answer: str) -> Iterator[str]:
    """Require at least one, and each once; the hook that runs after the files are made checks the catalogue."""
    groups = [group.strip() for group in answer.split(",") if group.strip()]
    if not groups:
        yield "allowed_node_groups must name at least one node group, such as default, high-cpu"
    for group in dict.fromkeys(groups):
        if groups.count(group) > 1:
            yield f"allowed_node_groups must name each group once; got '{group}' {groups.count(group)} times"


def band_problems(answer: str) -> Iterator[str]:
    """Require room for the three levels that a team starts with, within Kubernetes' user priorities."""
    found = BAND.fullmatch(answer)
    low, high = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= low <= high - 2 <= HIGHEST_PRIORITY - 2:
        yield (
            f"priority_band '{answer}' is not the lowest and the highest of at least three priorities from 1 to "
            f"{HIGHEST_PRIORITY}; write one like 1000-9999"
        )


def environment_problems(answer: str) -> Iterator[str]:
    """Require names of environments; each is a job of the pipeline. The platform's files can't be read here."""
    names = [name.strip() for name in answer.split(",") if name.strip()]
    if not names:
        yield "environments must name at least one, such as dev, prod"
    for name in dict.fromkeys(names):
        if name in STAGES or not LABEL.fullmatch(name):
            yield (
                "an environment's name must have lower-case letters, digits and '-', start with a letter, and not be "
                f"one of the pipeline's own words {', '.join(STAGES)}; got '{name}'"
            )
        if names.count(name) > 1:
            yield f"environments must name each once; got '{name}' {names.count(name)} times"


def platform_url_problems(url: str) -> Iterator[str]:
    """Allow nothing, or an address to fetch from; it is written to a file, so it must not have a password."""
    if url and not PLATFORM_URL.fullmatch(url):
        yield (
            f"platform_url '{url}' is not an https address without a login; "
            "write one like https://git.example.com/platform/jobyard.git, or leave it empty"
        )


def main() -> int:
    """Exit code 1 makes cookiecutter stop and remove what it began."""
    found = problems(json.loads(ANSWERS))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
