"""Whether the objects of a team's chart are such as the API server takes from that team."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard.contract import namespace

from jobyard_cli.chart.manifests import Manifest
from jobyard_cli.check.findings import printable
from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.current import current_platform
from jobyard_cli.platform.environments import UnknownEnvironmentError, environment_names, load_teams
from jobyard_cli.platform.teams import Team

OLDEST = "1.32"
"""What the chart asks for (`kubeVersion`)."""
IN_NAMESPACE = ("ConfigMap", "RoleBinding", "ServiceAccount")
ROLES = ("jobyard-launcher", "jobyard-viewer")
ROLE_ARN = "eks.amazonaws.com/role-arn"
_LONGEST = 300


@dataclass(frozen=True)
class Bounds:
    """What the platform gives the team; `why` says which state of it that is, or why it is not known."""

    values: Mapping[str, Any]
    why: str = ""


def known_bounds(root: Path, team: str, environment: str, platform: Path | None) -> Bounds:
    """Return the team's bounds from the platform's repository that was given or is available.

    Raises:
        UnknownEnvironmentError: the platform has none of that name.
        JobyardError: the folder that was given is not the platform's repository, or its values are wrong.
    """
    try:
        current = current_platform(root, platform)
        known, teams = environment_names(current.tree), load_teams(current.tree)
    except JobyardError as error:
        if platform is not None:
            raise
        return Bounds({}, f"the team's bounds are not known: {error}")
    if environment and environment not in known:
        raise UnknownEnvironmentError(environment, known)
    values = _values(teams.get(team), environment)
    if not values:
        return Bounds({}, f"the platform has no team {team} there: {current.state}")
    if platform is not None:
        return Bounds(values)
    return Bounds(values, f"bounds: {current.state}")


def _values(team: Team | None, environment: str) -> Mapping[str, Any] | None:
    """What the platform gives a team, in one environment or, without a name, in all; None if it is not in it."""
    if team is None:
        return None
    if environment:
        return team.in_environment(environment)
    return team.values


def check_manifests(manifests: list[Manifest], team: str, bounds: Bounds) -> list[str]:
    """Return a line for each problem: template, object, field, what is wrong."""
    # A dict, as two versions of Kubernetes may report the same problem.
    lines: dict[str, None] = {}
    for manifest in manifests:
        lines.update(dict.fromkeys(_problems(manifest, team, bounds.values)))
    return list(lines)


def _problems(manifest: Manifest, team: str, bounds: Mapping[str, Any]) -> Iterator[str]:
    content = manifest.content
    if not (content.get("kind") and content.get("apiVersion")):
        yield printable(f"{manifest.template}: a Kubernetes object must have apiVersion and kind")
        return
    subject = f"{manifest.template}: {manifest.name}"
    for field, problem in (*_schema(content), *_bounds(content, team, bounds)):
        if field:
            yield printable(f"{subject}: {field}: {problem}")
        else:
            yield printable(f"{subject}: {problem}")


def _schema(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    import kubernetes_validate  # type: ignore[import-untyped]

    for version in (OLDEST, kubernetes_validate.latest_version().removesuffix(".0")):
        try:
            kubernetes_validate.validate(dict(content), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield ".".join(map(str, error.path)), _shortened(error.message)
        except kubernetes_validate.SchemaNotFoundError:
            yield "kind", f"Kubernetes {version} has no {content['kind']} of {content['apiVersion']}"


def _shortened(message: str) -> str:
    """A message that may quote a whole object, cut where it is too long."""
    if len(message) <= _LONGEST:
        return message
    return f"{message[:_LONGEST]}…"


def _bounds(content: Mapping[str, Any], team: str, bounds: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metadata, kind = content.get("metadata") or {}, content.get("kind")
    if kind == "PriorityClass":
        yield from _priority_class(content, team, bounds)
    elif kind not in IN_NAMESPACE:
        yield "kind", f"a team may create {', '.join((*IN_NAMESPACE, 'PriorityClass'))}, not {kind}"
    elif metadata.get("namespace") != namespace(team):
        yield "metadata.namespace", f"must be {namespace(team)}, not {metadata.get('namespace')}"
    if kind == "RoleBinding":
        yield from _role_binding(content, team, bounds)
    if kind == "ServiceAccount":
        yield from _service_account(metadata.get("annotations") or {}, bounds)


def _priority_class(content: Mapping[str, Any], team: str, bounds: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name, value = (content.get("metadata") or {}).get("name"), content.get("value")
    if not str(name).startswith(f"{team}."):
        yield "metadata.name", f"must begin with {team}."
    if content.get("globalDefault"):
        yield "globalDefault", "a team's class may not be the cluster's default"
    if content.get("preemptionPolicy") != "Never":
        yield "preemptionPolicy", "must be Never"
    if not (bounds and str(name).startswith(f"{team}.")):
        return
    allowed = [f"{team}.{level}-{priority}" for level, priority in sorted(priorities(bounds).items())]
    if name not in allowed:
        file = f"values/teams/{team}.yaml"
        yield "metadata.name", f"the platform gives the team {', '.join(allowed)} (priorities in its {file})"
    elif name != f"{team}.{name[len(team) + 1 :].rpartition('-')[0]}-{value}":
        yield "value", f"must be the one in the name, not {value}"


def priorities(bounds: Mapping[str, Any]) -> dict[str, int]:
    """Return level to value of the classes that a team may have, as the charts' helper `jobyard.priorities` does."""
    low, high = bounds["priorityBand"]["min"], bounds["priorityBand"]["max"]
    usual = usual_priorities(low, high)
    return bounds.get("priorities") or {level: value for level, value in usual.items() if value <= high}


def usual_priorities(low: int, high: int) -> dict[str, int]:
    """Return a new team's three levels: from the lowest of its band up, a ninth of the band apart."""
    step = max((high - low + 1) // 9, 1)
    return {"low": low, "normal": low + step, "high": low + 2 * step}


def _role_binding(content: Mapping[str, Any], team: str, bounds: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    role = (content.get("roleRef") or {}).get("name")
    if role not in ROLES:
        yield "roleRef.name", f"a team may bind {' and '.join(ROLES)}, not {role}"
    if not bounds:
        return
    groups = bounds.get("viewerGroups", [])
    for number, subject in enumerate(content.get("subjects") or []):
        name = str(subject.get("name"))
        if not name.startswith(f"jobyard:{team}:") and name not in groups:
            yield (
                f"subjects.{number}.name",
                f"{name} is not one of the team's groups: jobyard:{team}:*, {', '.join(groups)}",
            )


def _service_account(annotations: Mapping[str, Any], bounds: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    arn = str(annotations.get(ROLE_ARN) or "")
    roles = (bounds.get("iamRoles") or {}).get("serviceAccounts", [])
    if bounds and arn and arn.partition(":role/")[2] not in roles:
        yield f"metadata.annotations.{ROLE_ARN}", f"{arn} is not one of the team's roles: {', '.join(roles) or 'none'}"
