"""Makes the plan of a team's repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jobyard_cli.chart.manifests import CHART
from jobyard_cli.check.run import Checked, check_repo
from jobyard_cli.errors import JobyardError
from jobyard_cli.images.addresses import pod_limits
from jobyard_cli.parsing.documents import load
from jobyard_cli.plan.base import Base
from jobyard_cli.plan.chart import OTHERS, BaseRenderError, chart_changes, environments_with_values
from jobyard_cli.plan.compare import Comparison
from jobyard_cli.plan.images import image_changes
from jobyard_cli.plan.model import ObjectChange, Plan
from jobyard_cli.plan.quota import Amount, quotas
from jobyard_cli.plan.warnings import Situation, warnings
from jobyard_cli.platform.current import current_platform
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.environments import Environment, load_environment, load_teams
from jobyard_cli.release.compile import InvalidJobsError, compile_jobs
from jobyard_cli.team.repo import TeamRepo


@dataclass(frozen=True)
class Platform:
    """What a plan takes from the platform's repository; None where it could not be had, and `why`."""

    repo: Path | None
    why: str = ""
    words: str = ""
    """Of which commit it is, and of what age; nothing of a work tree that was given."""


def find_platform(root: Path, given: Path | None) -> Platform:
    """The platform's repository as it is now. Where it can't be had or read, the plan is without quotas, unless it
    was given.

    Raises:
        NotAPlatformRepoError: the folder that was given is another.
        InvalidValuesError: a team's file in it is wrong.
    """
    try:
        current = current_platform(root, given)
        load_teams(current.tree)
    except JobyardError as error:
        if given is not None:
            raise
        return Platform(None, str(error))
    return Platform(current.tree, words="" if given else current.state)


def valid_repo(root: Path, platform: Path | None = None) -> Checked:
    """The checked repository, with the platform's work tree where one was given.

    Raises:
        NotATeamRepoError: the folder is no team's repository.
        InvalidJobsError: the check found something.
    """
    checked = check_repo(root, platform=platform)
    if checked.findings:
        raise InvalidJobsError(checked, "there is no plan until these are mended")
    return checked


def make_plan(checked: Checked, base: Base, platform: Platform, now: datetime, environment: str = "") -> Plan:
    """What would change from the base to the work tree, in one environment or in all.

    Raises:
        RenderError: Helm refuses the values of the work tree.
        InvalidValuesError: the values of the platform's repository are wrong.
    """
    repo, jobs = checked.repo, compile_jobs(checked)
    notes = list(base.notes)
    chosen = load_environment(platform.repo, environment) if platform.repo and environment else Environment("", {}, {})
    known: dict[str, Any] = {"task_types": {}, "teams": chosen.teams, "limits": pod_limits(chosen)}
    there = platform_data(repo.node_groups, environment, **known)
    then = platform_data(_groups_of(base.tree, repo), environment, **known)
    changes = list(Comparison(repo.team, base.jobs, jobs, then, there).changes(now))
    bounds = _quotas(platform, repo.team, environment, notes)
    around = Situation(repo.team, base.jobs, jobs, bounds, repo.published_jobs.jobs if repo.published_jobs else {}, now)
    return Plan(
        team=repo.team,
        base=base.words,
        bounds=platform.words,
        jobs=changes,
        unchanged=len(jobs) - sum(1 for change in changes if change.name in jobs),
        images=list(image_changes(repo.root, base.tree, jobs)) if base.tree else [],
        objects=_objects(repo.root, base, environment, bounds, notes),
        warnings=warnings(changes, around),
        notes=notes,
    )


def _groups_of(tree: Path | None, repo: TeamRepo) -> Mapping[str, Any]:
    """The catalogue as it was, or as it is where nobody knows."""
    if tree is None:
        return repo.node_groups
    name = "values/node-groups.yaml"
    data = load(tree / name, name).data
    groups = data.get("nodeGroups") if isinstance(data, dict) else None
    return groups if isinstance(groups, dict) else repo.node_groups


def _quotas(platform: Platform, team: str, environment: str, notes: list[str]) -> dict[str, Amount]:
    if platform.repo is None:
        notes.append(f"the team's quota is not known: {platform.why}")
        return {}
    found = quotas(platform.repo, team)
    if not found:
        notes.append(f"the team's quota is not known: the platform has no team {team}")
    return {name: quota for name, quota in found.items() if environment in ("", name)}


def _environments(bounds: Mapping[str, Amount], with_values: list[str]) -> list[str]:
    """Those that the team is in, or where nobody knows, those that it has values for and all others."""
    return list(bounds) if bounds else [*with_values, OTHERS]


def _has_chart(repo: Path) -> bool:
    return (repo / CHART / "Chart.yaml").is_file()


def _objects(
    root: Path, base: Base, environment: str, bounds: Mapping[str, Amount], notes: list[str]
) -> list[ObjectChange]:
    if not _has_chart(root):
        notes.append(f"there is no {CHART} here, so no objects are compared")
        return []
    before = base.tree if base.tree is not None and _has_chart(base.tree) else None
    if base.tree is None and base.jobs:
        return []
    with_values = environments_with_values(*filter(None, (before, root)))
    names = [environment] if environment else _environments(bounds, with_values)
    try:
        return chart_changes(before, root, names)
    except BaseRenderError as error:
        notes.append(str(error))
        return []
