"""Makes the plan of a team's repository."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jobyard.platform_entries import PlatformFile

from jobyard_cli.chart.manifests import CHART, has_chart
from jobyard_cli.check.loaders import doubt_loaders
from jobyard_cli.check.run import Checked, check_repo
from jobyard_cli.errors import JobyardError
from jobyard_cli.images.addresses import pod_limits
from jobyard_cli.parsing.documents import Written, load
from jobyard_cli.plan.base import Base
from jobyard_cli.plan.chart import OTHERS, BaseRenderError, chart_changes, environments_with_values
from jobyard_cli.plan.compare import Comparison
from jobyard_cli.plan.images import image_changes
from jobyard_cli.plan.model import JobChange, ObjectChange, Plan
from jobyard_cli.plan.quota import Amount, quotas
from jobyard_cli.plan.usage import ReadAdvice, Reading
from jobyard_cli.plan.warnings import Situation, warnings
from jobyard_cli.platform.current import current_platform
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.environments import Environment, load_environment, load_teams
from jobyard_cli.platform.published import KnownJobs
from jobyard_cli.release.compile import InvalidJobsError, compile_jobs
from jobyard_cli.team.repo import TeamRepo
from jobyard_cli.usage.address import measured_environments


@dataclass(frozen=True)
class Platform:
    """What a plan takes from the platform's repository; None where it could not be had, and `why`."""

    repo: Path | None
    why: str = ""
    words: str = ""
    """Of which commit it is, and of what age; nothing of a work tree that was given."""


def find_platform(root: Path, given: Path | None) -> Platform:
    """Return the platform's current repository. If it is not available, the plan has no quotas, unless it was given.

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
    if given is not None:
        return Platform(current.tree)
    return Platform(current.tree, words=current.state)


def valid_repo(root: Path, platform: Path | None = None) -> Checked:
    """Return the checked repository, with the platform's work tree if one was given.

    Raises:
        NotATeamRepoError: the folder is not a team repository.
        InvalidJobsError: the check found something.
    """
    checked = check_repo(root, platform=platform)
    if checked.findings:
        raise InvalidJobsError(checked, "fix these to get a plan")
    return checked


def make_plan(
    checked: Checked,
    base: Base,
    platform: Platform,
    now: datetime,
    environment: str = "",
    read: ReadAdvice | None = None,
) -> Plan:
    """Return what would change from the base to the work tree, in one environment or in all.

    With `read`, requests are compared with what the tasks used.

    Raises:
        RenderError: Helm refuses the values of the work tree.
        InvalidValuesError: the values of the platform's repository are wrong.
    """
    repo = checked.repo
    jobs = compile_jobs(checked)
    notes = [*base.notes, *(doubt.message for doubt in doubt_loaders(jobs, repo))]
    old_platform, new_platform = _platform_data(repo, base.tree, platform, environment)
    changes = list(Comparison(repo.team, base.jobs, jobs, old_platform, new_platform).changes(now))
    bounds = _quotas(platform, repo.team, environment, notes)
    # Read while Helm renders the chart.
    reading = _reading(read, repo.team, platform, changes, bounds)
    objects = _objects(repo.root, base, environment, bounds, notes)
    advice = reading.results(notes)
    situation = Situation(repo.team, base.jobs, jobs, bounds, _published_jobs(repo), now, advice)
    return Plan(
        team=repo.team,
        base=base.description,
        bounds=platform.words,
        jobs=changes,
        unchanged=len(jobs.keys() - {change.name for change in changes}),
        images=list(image_changes(repo.root, base.tree, jobs)),
        objects=objects,
        warnings=warnings(changes, situation),
        notes=notes,
    )


def _reading(
    read: ReadAdvice | None,
    team: str,
    platform: Platform,
    changes: Iterable[JobChange],
    environments: Collection[str],
) -> Reading:
    """Start to read the advice of the environments that have metrics; of none where no task differs."""
    if platform.repo is None or not any(change.tasks for change in changes):
        return Reading(None, team, {})
    return Reading(read, team, measured_environments(platform.repo, environments))


def _published_jobs(repo: TeamRepo) -> KnownJobs:
    if repo.published_jobs is None:
        return {}
    return repo.published_jobs.jobs


def _platform_data(
    repo: TeamRepo, tree: Path | None, platform: Platform, environment: str
) -> tuple[PlatformFile, PlatformFile]:
    """The platform's data with the catalogue of node groups of the base's tree, and with that of the work tree."""
    chosen = Environment("", {}, {})
    if platform.repo and environment:
        chosen = load_environment(platform.repo, environment)
    limits = pod_limits(chosen)
    old = platform_data(_groups_of(tree, repo), environment, task_types={}, teams=chosen.teams, limits=limits)
    new = platform_data(repo.node_groups, environment, task_types={}, teams=chosen.teams, limits=limits)
    return old, new


def _groups_of(tree: Path | None, repo: TeamRepo) -> Mapping[str, Written]:
    """The node groups of a tree's catalogue, or those of the work tree if the tree has no such catalogue."""
    if tree is None:
        return repo.node_groups
    name = "values/node-groups.yaml"
    data = load(tree / name, name).data
    if not isinstance(data, dict) or not isinstance(data.get("nodeGroups"), dict):
        return repo.node_groups
    groups: Mapping[str, Written] = data["nodeGroups"]
    return groups


def _quotas(platform: Platform, team: str, environment: str, notes: list[str]) -> dict[str, Amount]:
    if platform.repo is None:
        notes.append(f"the team's quota is not known: {platform.why}")
        return {}
    by_environment = quotas(platform.repo, team)
    if not by_environment:
        notes.append(f"the team's quota is not known: the platform has no team {team}")
    if not environment:
        return by_environment
    if environment not in by_environment:
        return {}
    return {environment: by_environment[environment]}


def _objects(
    root: Path, base: Base, environment: str, bounds: Mapping[str, Amount], notes: list[str]
) -> list[ObjectChange]:
    if not has_chart(root):
        notes.append(f"there is no {CHART} here, so no objects are compared")
        return []
    if base.tree is None and base.jobs:
        return []
    before = base.tree
    if before is not None and not has_chart(before):
        before = None
    try:
        return chart_changes(before, root, _environments(environment, bounds, before, root))
    except BaseRenderError as error:
        notes.append(str(error))
        return []


def _environments(environment: str, bounds: Mapping[str, Amount], before: Path | None, after: Path) -> list[str]:
    """The chosen environment, or else those that the team is in; if these are not known, those with values.

    `OTHERS` then stands for the environments without values.
    """
    if environment:
        return [environment]
    if bounds:
        return list(bounds)
    return [*environments_with_values(before, after), OTHERS]
