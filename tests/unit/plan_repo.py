"""A team's repository in git, for the tests of plans."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from jobyard_cli.plan.base import commit_base
from jobyard_cli.plan.make import Platform, find_platform, make_plan, valid_repo
from jobyard_cli.plan.model import Plan
from jobyard_cli.plan.usage import ReadAdvice

from tests.support.paths import ROOT

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
NO_PLATFORM = Platform(None, "none was given")
VIEWERS = "viewerGroups: [jobyard:risk:viewers]\n"


def with_chart(repo: Path) -> Path:
    """The repository with the team's chart, and values that it takes."""
    shutil.copytree(ROOT / "charts" / "team", repo / "charts" / "team")
    values = repo / "values" / "team.yaml"
    values.write_text(values.read_text() + VIEWERS)
    return repo


def planned(repo: Path, platform: Platform = NO_PLATFORM, ref: str = "", read: ReadAdvice | None = None) -> Plan:
    """The plan against a commit, at a fixed moment."""
    checked = valid_repo(repo)
    with commit_base(repo, ref) as base:
        return make_plan(checked, base, platform, NOW, read=read)


def the_platform() -> Platform:
    """This repository."""
    return find_platform(ROOT, ROOT)
