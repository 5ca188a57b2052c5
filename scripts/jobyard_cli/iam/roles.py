"""Every role of an environment, or all that keeps them from being made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobyard_cli.check.findings import unknown
from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.iam.account import Account, account
from jobyard_cli.iam.git_hosts import Project, UnknownPipelinesError, project, release_branch
from jobyard_cli.iam.pipeline_roles import Images
from jobyard_cli.iam.platform_roles import PLATFORM, OwnJobs, platform_roles
from jobyard_cli.iam.role import POLICIES, Role, policies
from jobyard_cli.iam.team_roles import team_roles
from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.environments import Environment
from jobyard_cli.platform.teams import TEAMS

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
    draft = _Draft(account(environment))
    draft.add_platform(environment, repo, ci, branch, others)
    draft.add_teams(environment, others)
    problems = [*draft.problems, *_refused(draft.roles)]
    if problems:
        raise IamRolesError(problems)
    return Roles(draft.account, draft.roles, dict(sorted(draft.issuers.items())))


@dataclass
class _Draft:
    """Roles as they are collected, the issuers that they trust, and what keeps them from being made."""

    account: Account
    roles: list[Role] = field(default_factory=list)
    issuers: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add_platform(
        self, environment: Environment, repo: str, ci: str, branch: str, others: Iterable[Environment]
    ) -> None:
        """Add the roles that exist once."""
        own = None
        if environment.platform_team is not None:
            own = OwnJobs(environment.platform_team, _images(self.account, PLATFORM, environment, others))
        try:
            repository = _platform_project(repo, ci)
            self.issuers[repository.issuer] = repository.audience
            self.roles += platform_roles(self.account, environment.teams, repository, release_branch(branch), own)
        except UnknownPipelinesError as error:
            self.problems.append(f"the platform's repository {error}; give its address with --platform-repo")

    def add_teams(self, environment: Environment, others: Iterable[Environment]) -> None:
        """Add the roles of each team whose repository is known."""
        for team, repository in self._team_projects(environment).items():
            self.issuers[repository.issuer] = repository.audience
            images = _images(self.account, team, environment, others)
            self.problems += _unknown_writers(team, environment.teams[team])
            try:
                self.roles += team_roles(self.account, team, environment.teams[team], repository, images)
            except UnknownPipelinesError as error:
                self.problems.append(f"{TEAMS}/{team}.yaml: revision {error}")

    def _team_projects(self, environment: Environment) -> dict[str, Project]:
        projects = {}
        for team, values in sorted(environment.teams.items()):
            try:
                projects[team] = project(values["repo"], values.get("ci", "gitlab"))
            except UnknownPipelinesError as error:
                self.problems.append(f"{TEAMS}/{team}.yaml: repo {error}")
        return projects


def _unknown_writers(team: str, values: Written) -> Iterator[str]:
    names = values.get("iamRoles", {})
    known = names.get("serviceAccounts", [])
    for name in names.get("writeRaw", []):
        if name not in known:
            problem = unknown("role", name, known, "iamRoles.serviceAccounts has")
            yield f"{TEAMS}/{team}.yaml: iamRoles.writeRaw: {problem}"


def only(roles: Roles, parts: Sequence[str]) -> Roles:
    """Return only the roles of the named teams, or of the `platform`, which includes the git hosts.

    Raises:
        UnknownPartError: there is no such team.
    """
    known = {role.part for role in roles.roles}
    problems = []
    for part in parts:
        if part not in known:
            problems.append(unknown("part", part, known, "available"))
    if problems:
        raise UnknownPartError(problems)
    chosen = [role for role in roles.roles if role.part in parts]
    issuers = roles.issuers if PLATFORM in parts else {}
    return Roles(roles.account, chosen, issuers)


def _images(account: Account, team: str, environment: Environment, others: Iterable[Environment]) -> Images:
    own = account.repositories(team, environment.values)
    elsewhere: list[str] = []
    for other in others:
        if team in other.all_teams:
            elsewhere += account.repositories(team, other.values)
    return Images(own, [arn for arn in dict.fromkeys(elsewhere) if arn not in own])


def _platform_project(repo: str, ci: str) -> Project:
    if not repo:
        raise UnknownPipelinesError("has no remote `origin`")
    return project(repo, ci)


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
