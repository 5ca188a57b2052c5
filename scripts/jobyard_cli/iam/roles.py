"""Every role of an environment, or all that keeps them from being made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobyard_cli.check.findings import unknown
from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.iam.account import Account, account
from jobyard_cli.iam.git_hosts import Project, UnknownPipelinesError, project, release_branch
from jobyard_cli.iam.pipeline_roles import Images
from jobyard_cli.iam.platform_roles import PLATFORM, platform_roles
from jobyard_cli.iam.role import POLICIES, Role, policies
from jobyard_cli.iam.team_roles import team_roles
from jobyard_cli.platform.environments import Environment
from jobyard_cli.platform.teams import TEAMS, is_reserved

NAME_LENGTH = 64


class IamRolesError(JobyardError):
    """IAM would not take the roles; the message has every reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))


class UnknownPartError(IamRolesError, UsageError):
    """A part to print has no roles."""


@dataclass(frozen=True)
class Roles:
    """The roles, where they are, and who signs the pipelines' tokens that they trust, with what these are for."""

    account: Account
    roles: Sequence[Role]
    issuers: Mapping[str, str]


def all_roles(
    environment: Environment, repo: str, ci: str = "", branch: str = "main", others: Iterable[Environment] = ()
) -> Roles:
    """Return the roles of an environment; the address is that of the platform's own repository.

    From the other environments, a team's pipeline may copy the team's images.

    Raises:
        IncompleteEnvironmentError: the environment's file lacks something.
        InvalidRegionError: AWS has no such region.
        IamRolesError: a repository's pipelines can't be known, or IAM would not take a role.
    """
    where = account(environment)
    problems: list[str] = []
    found: list[Role] = []
    issuers: dict[str, str] = {}
    try:
        own = project(repo, ci) if repo else _nowhere()
        issuers[own.issuer] = own.audience
        found += platform_roles(where, environment.teams, own, release_branch(branch))
    except UnknownPipelinesError as error:
        problems.append(f"the platform's repository {error}; give its address with --platform-repo")
    for team, theirs in _projects(environment, problems).items():
        issuers[theirs.issuer] = theirs.audience
        try:
            found += team_roles(where, team, environment.teams[team], theirs, _images(where, team, environment, others))
        except UnknownPipelinesError as error:
            problems.append(f"{TEAMS}/{team}.yaml: revision {error}")
    if problems := [*problems, *_refused(found)]:
        raise IamRolesError(problems)
    return Roles(where, found, dict(sorted(issuers.items())))


def only(roles: Roles, parts: Sequence[str]) -> Roles:
    """Return only the roles of the named teams, or of the `platform`, which includes the git hosts.

    Raises:
        UnknownPartError: there is no such team.
    """
    known = list(dict.fromkeys(role.part for role in roles.roles))
    if strange := [part for part in parts if part not in known]:
        raise UnknownPartError([unknown("part", part, known, "available") for part in strange])
    chosen = [role for role in roles.roles if role.part in parts]
    return Roles(roles.account, chosen, roles.issuers if PLATFORM in parts else {})


def _images(where: Account, team: str, environment: Environment, others: Iterable[Environment]) -> Images:
    own = where.repositories(team, environment.values)
    elsewhere = [arn for other in others if team in other.teams for arn in where.repositories(team, other.values)]
    return Images(own, [arn for arn in dict.fromkeys(elsewhere) if arn not in own])


def _nowhere() -> Project:
    raise UnknownPipelinesError("has no remote `origin`")


def _projects(environment: Environment, problems: list[str]) -> dict[str, Project]:
    found = {}
    for team, values in sorted(environment.teams.items()):
        if is_reserved(team):
            problems.append(f"{TEAMS}/{team}.yaml: '{team}' is reserved for the platform")
        try:
            found[team] = project(values["repo"], values.get("ci", "gitlab"))
        except UnknownPipelinesError as error:
            problems.append(f"{TEAMS}/{team}.yaml: repo {error}")
    return found


def _refused(roles: Sequence[Role]) -> Iterator[str]:
    """What IAM would say against the roles."""
    taken: dict[str, Role] = {}
    for role in roles:
        name = role.short_name
        if not name or len(name) > NAME_LENGTH or "//" in f"/{role.name}":
            yield f"a role's name must have 1 to {NAME_LENGTH} characters; got '{role.name}' ({role.identity})"
        # IAM's names are unique whatever their path, and in whatever letters.
        other = taken.setdefault(name.lower(), role)
        if other is not role:
            yield f"two roles would be named '{name}': {other.identity}, and {role.identity}; {_ADVICE}"
        if (count := len(policies(role.statements))) > POLICIES:
            yield f"role '{role.name}' needs {count} policies, and IAM allows {POLICIES}: split the environment's teams"


_ADVICE = f"give a team another name, or its launcher's or jobs' role in `iamRoles` of {TEAMS}/<team>.yaml"
