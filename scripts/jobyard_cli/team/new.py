"""Adds a team: its file in the platform's repository and its own repository, both or neither."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobyard_cli.chart import helm
from jobyard_cli.check.findings import unknown
from jobyard_cli.check.run import check_repo
from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.parsing.documents import Document, parse
from jobyard_cli.platform.environments import ENVIRONMENTS, environment_names, load_teams
from jobyard_cli.platform.files import NotAPlatformRepoError, node_groups
from jobyard_cli.platform.teams import OVERRIDES, TEAMS, TeamFiles, team_findings
from jobyard_cli.system import git
from jobyard_cli.team import template
from jobyard_cli.team.team_file import team_file

NEEDED = ("cookiecutter.json", "charts/bounds/Chart.yaml", ENVIRONMENTS, TEAMS, "values/node-groups.yaml")
UNKNOWN_GROUP = "allowed_node_groups: unknown node group "
"""How the template begins what it says of a node group that the catalogue lacks."""


class AddTeamError(JobyardError):
    """The team can't be added; nothing was written. The message has every problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join([*problems, "nothing was written"]))


class TeamAnswersError(AddTeamError, UsageError):
    """What the command was given for the new team can't be used."""


@dataclass(frozen=True)
class Quota:
    """The most that all pods of the team together may request."""

    pods: int
    cpu: str
    memory: str
    ephemeral_storage: str
    gpu: int


@dataclass(frozen=True)
class NewTeam:
    """All that is asked of a team. Without environments it is in all of them."""

    name: str
    owner: str
    repo_url: str
    repo_name: str
    node_groups: Sequence[str]
    environments: Sequence[str]
    cost_center: str
    priority_band: tuple[int, int]
    quota: Quota
    ci: str = "gitlab"
    """Where the repository is and its pipelines run: `gitlab` or `github`."""


@dataclass(frozen=True)
class Added:
    """What was made, and from which template at which commit."""

    file: str
    repo: Path | None
    """None where it was made otherwise, as by plain cookiecutter."""
    template: str
    commit: str
    is_local: bool
    """The template is a folder of this machine, as the platform's repository has no remote `origin`."""
    uncommitted: bool
    """The platform's repository has changes that are in no commit, and so not in the team's repository."""


def add_team(platform: Path, team: NewTeam, output: Path, file_only: bool = False) -> Added:
    """Write `values/teams/<team>.yaml` and make the team's repository in a folder, unless that is there already.

    Raises:
        NotAPlatformRepoError: a part of the platform's repository is not there.
        InvalidValuesError: a file of a team that is there already is wrong.
        TeamAnswersError: an answer is wrong, or something of that name is there.
        AddTeamError: the template is not available, or its result does not pass the checks.
    """
    platform, output = platform.absolute(), output.absolute()
    repo = None if file_only else output / team.repo_name
    for needed in NEEDED:
        if not (platform / needed).exists():
            raise NotAPlatformRepoError(platform / needed)
    if not output.is_dir():
        raise TeamAnswersError([f"--output must be a folder; got {output}"])
    text, source = team_file(team), _Source.of(platform)
    with tempfile.TemporaryDirectory(prefix=".jobyard-", dir=output) as scratch:
        hook = _bake(source, team, Path(scratch) / "repo")
        if problems := [*_existing(platform, team, repo), *hook, *_value_problems(platform, team, text, hook)]:
            raise TeamAnswersError(problems)
        (baked,) = (Path(scratch) / "repo").iterdir()
        _try(platform, team, text, baked, Path(scratch))
        file = platform / TEAMS / f"{team.name}.yaml"
        if repo is None:
            file.write_text(text, encoding="utf-8")
        else:
            _put(file, text, baked, repo)
    name = f"{TEAMS}/{team.name}.yaml"
    return Added(name, repo, source.address, source.commit, source.is_local, source.uncommitted)


def _existing(platform: Path, team: NewTeam, repo: Path | None) -> Iterator[str]:
    """Yield what exists already of a new team: its file, and `repo` where the command would make it."""
    file = platform / TEAMS / f"{team.name}.yaml"
    if file.exists() or team.name in load_teams(platform):
        yield f"team '{team.name}' exists already, in {TEAMS}/{team.name}.yaml; it was left unchanged"
    if repo is not None and repo.exists():
        yield f"{repo} exists already; it was left unchanged"


def _value_problems(platform: Path, team: NewTeam, text: str, hook: Sequence[str]) -> Iterator[str]:
    """What the check of the team's file says of it before it is written, less what the hook has said already."""
    document = Document(f"{TEAMS}/{team.name}.yaml")
    parse(document, text)
    for finding in team_findings(TeamFiles(document, {}), environment_names(platform), platform):
        if finding.rule != "node-group" and not (hook and finding.rule in ("yaml", "name")):
            yield finding.message
    # The hook reads the catalogue last, once all other answers are right.
    if not any(line.startswith(UNKNOWN_GROUP) for line in hook):
        known = list(node_groups(platform / "values"))
        for group in team.node_groups:
            if group not in known:
                yield unknown("node group", group, known, "the catalogue has")


@dataclass(frozen=True)
class _Source:
    """Where the team's repository is made from."""

    platform: Path
    address: str
    commit: str
    is_local: bool
    uncommitted: bool

    @classmethod
    def of(cls, platform: Path) -> _Source:
        commit, origin = git.commit(platform), git.origin(platform)
        if not commit:
            why = "a team's repository is made from a commit of the platform's"
            raise AddTeamError([f"{platform} must be a git work tree with a commit: {why}"])
        # Teams are data of the platform's, and not of the template.
        changes = git.git(platform, "status", "--porcelain", "--", ".", f":!{TEAMS}", f":!{OVERRIDES}")
        return cls(platform, origin or str(platform), commit, not origin, bool(changes.strip()))


def _bake(source: _Source, team: NewTeam, folder: Path) -> list[str]:
    """Make the team's repository in a folder; what the template says against it."""
    low, high = team.priority_band
    answers = {
        "team": team.name,
        "owner": team.owner,
        "repo_name": team.repo_name,
        "repo_url": team.repo_url,
        "allowed_node_groups": ", ".join(team.node_groups),
        "priority_band": f"{low}-{high}",
        "environments": ", ".join(team.environments or environment_names(source.platform)),
        "ci": team.ci,
    }
    folder.mkdir()
    try:
        # Git takes a relative address of `origin` from the repository's top folder.
        template.create(source.address, source.commit, answers, folder, source.platform)
    except template.AnswersRefusedError as error:
        return str(error).splitlines()
    except template.CruftError as error:
        raise AddTeamError([*str(error).splitlines(), *_advice(source, str(error))]) from error
    return []


def _advice(source: _Source, reason: str) -> Iterator[str]:
    if "Failed to check out the reference" in reason:
        yield f"push the commit that is checked out here, {source.commit[:12]}, to {source.address} first"


def _try(platform: Path, team: NewTeam, text: str, repo: Path, scratch: Path) -> None:
    """Check the repository as its pipeline does, and render the team's bounds as Argo CD does."""
    if findings := check_repo(repo).findings:
        raise AddTeamError([f"the new repository does not pass its check: {finding}" for finding in findings])
    file = scratch / f"{team.name}.yaml"
    file.write_text(text, encoding="utf-8")
    # What the ApplicationSet gives; no team's name begins with a dot.
    called = scratch / ".team.yaml"
    called.write_text(f"team: {team.name}\n", encoding="utf-8")
    groups = platform / "values" / "node-groups.yaml"
    for name in team.environments or environment_names(platform):
        files = [groups, platform / ENVIRONMENTS / f"{name}.yaml", file, called]
        try:
            helm.render(platform / "charts" / "bounds", files)
        except helm.RenderError as error:
            raise AddTeamError([str(error)]) from error


def _put(file: Path, text: str, baked: Path, repo: Path) -> None:
    """Both are put, or neither."""
    with file.open("x", encoding="utf-8") as written:
        written.write(text)
    try:
        baked.rename(repo)
    except BaseException:
        file.unlink()
        raise
