"""How the teams on a local platform stand: where each is from, what Argo CD has synced, which jobs are released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobyard_cli.plan.released import released

from jobyard_local import argocd, cluster
from jobyard_local.platform import AIRFLOW_BUCKET, LocalPlatform
from jobyard_local.teams import LocalTeam, require_running


@dataclass(frozen=True)
class TeamState:
    """One team. `source` is the folder that was added, or the repository's address where no folder is known.

    `commit` is the last that Argo CD has synced, "" before the first. `argocd` has a line for each Application that is
    not settled, or one line if all are.
    """

    team: str
    source: str
    namespace: str
    commit: str
    argocd: Sequence[str]
    jobs: Sequence[str]


def team_states(platform: LocalPlatform) -> list[TeamState]:
    """Return each team of the platform, sorted by name.

    Raises:
        NotRunningError: the platform is not up.
        ProgramError: the API server does not answer.
        UnreadableReleaseError: the bucket does not answer, or a team's object is not a release.
    """
    require_running(platform)
    applications = {status.name: status for status in argocd.statuses(platform.kubectl)}
    return [_state(platform, name, values, applications) for name, values in sorted(platform.teams().items())]


def _state(
    platform: LocalPlatform,
    name: str,
    values: Mapping[str, Any],
    applications: Mapping[str, argocd.ApplicationStatus],
) -> TeamState:
    release = released(platform.s3(), AIRFLOW_BUCKET, name)
    own = applications.get(f"team-{name}")
    return TeamState(
        team=name,
        source=LocalTeam(platform, name).repository.source() or str(values["repo"]),
        namespace=cluster.namespace(name),
        commit=own.revision if own else "",
        argocd=_lines(applications, f"bounds-{name}", f"team-{name}"),
        jobs=sorted(release["jobs"]) if release else [],
    )


def _lines(applications: Mapping[str, argocd.ApplicationStatus], *names: str) -> list[str]:
    lines = []
    for name in names:
        status = applications.get(name)
        if status is None:
            lines.append(f"{name}: not made yet")
        elif not status.settled:
            lines.append(str(status))
    return lines or ["Synced, Healthy"]
