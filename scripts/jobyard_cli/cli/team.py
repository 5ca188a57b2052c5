"""`jobyard team`: what a platform engineer does with teams, in the platform's repository."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jobyard_cli.team.new import Added, NewTeam

app = typer.Typer(no_args_is_help=True, help="Add a team, and see which there are; in the platform's repository.")
PlatformRepo = Annotated[
    Path, typer.Option("--repo", help="Top folder of the platform's repository.", show_default="here")
]
BAND = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")


class Ci(StrEnum):
    """Whose pipeline files the team's repository gets."""

    gitlab = "gitlab"
    github = "github"


def _band(text: str) -> tuple[int, int]:
    from jobyard_cli.team.new import AddTeamError

    if found := BAND.fullmatch(text.replace(" ", "")):
        return int(found[1]), int(found[2])
    raise AddTeamError([f"'{text}' is no band of priorities; write one like 1000-9999"])


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The team's name; its namespace is team-NAME.")],
    owner: Annotated[str, typer.Option(help="E-mail address that answers for the team's jobs.")],
    repo_url: Annotated[str, typer.Option(help="Address that the team's repository will have.")],
    repo_name: Annotated[
        str | None, typer.Option(help="Its name, and its folder's.", show_default="the address's last part")
    ] = None,
    node_groups: Annotated[
        str, typer.Option(help="Node groups the team may use, with commas between.")
    ] = "default, high-cpu, high-memory",
    environments: Annotated[
        str,
        typer.Option(help="Environments in the order in which a change gets there.", show_default="all, by name"),
    ] = "",
    ci: Annotated[Ci, typer.Option(help="Where the repository is and its pipelines run.")] = Ci.gitlab,
    cost_center: Annotated[
        str | None, typer.Option(help="What the bill is split by.", show_default="the team's name")
    ] = None,
    priority_band: Annotated[
        str, typer.Option(help="Lowest and highest priority of its pods, as MIN-MAX.")
    ] = "1000-9999",
    pods: Annotated[int, typer.Option(help="The most pods at once.")] = 20,
    cpu: Annotated[str, typer.Option(help="The most cores that they may request together.")] = "32",
    memory: Annotated[str, typer.Option(help="The most memory.")] = "128Gi",
    ephemeral_storage: Annotated[str, typer.Option(help="The most disk.")] = "200Gi",
    gpu: Annotated[int, typer.Option(help="The most GPUs.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder to make the repository in.", show_default="beside the platform's")
    ] = None,
    file_only: Annotated[
        bool, typer.Option("--file-only", help="Write the file alone: `cookiecutter` or cruft made the repository.")
    ] = False,
    repo: PlatformRepo = Path(),
) -> None:
    """Add a team: writes values/teams/NAME.yaml and makes the team's repository, both or neither."""
    from jobyard_cli.team.new import NewTeam, Quota, add_team

    team = NewTeam(
        name=name,
        owner=owner,
        repo_url=repo_url,
        repo_name=repo_name or re.split("[/:]", repo_url.rstrip("/"))[-1].removesuffix(".git"),
        node_groups=_names(node_groups),
        environments=_names(environments),
        cost_center=cost_center or name,
        priority_band=_band(priority_band),
        quota=Quota(pods, cpu, memory, ephemeral_storage, gpu),
        ci=ci.value,
    )
    _tell(add_team(repo, team, output or repo.absolute().parent, file_only), team)


def _tell(added: Added, team: NewTeam) -> None:
    print(f"wrote {added.file}")
    if added.repo:
        _tell_of_repo(added)
    print("next:")
    print(f"  1. look over {added.file}: quota, priority band, IAM roles, who may look at pods")
    where = f"cd {added.repo}" if added.repo else f"in {team.repo_name}, unless it is pushed already:"
    print(f"  2. {where}{' &&' if added.repo else ''} git init -b main && git add -A &&")
    print("     git commit -m 'Make the repository' &&")
    print(f"     git remote add origin {team.repo_url} && git push -u origin main")
    print(f"  3. open a merge request with {added.file}; once it is merged, Argo CD makes the team's namespace")
    print(f"  4. jobyard iam --environment <each> --only {team.name}, and deploy it: its roles")
    print("  5. jobyard publish-platform --environment <each>: Airflow gets the team's pools, loader and context")


def _tell_of_repo(added: Added) -> None:
    print(f"made {added.repo} from {added.template} at {added.commit[:12]}")
    if added.is_local:
        print("  this repository has no remote `origin`, so `jobyard upgrade` will look for it in this folder, which")
        print('  pipelines can\'t reach: write an https address of it under "template" in .cruft.json before you push')
    if added.uncommitted:
        print("  changes here that are in no commit are not in it")


@app.command("list")
def list_teams(repo: PlatformRepo = Path()) -> None:
    """List the teams with their environments and node groups."""
    from jobyard_cli.platform.environments import environment_names, load_teams

    everywhere = environment_names(repo)
    rows = [("team", "environments", "node groups")]
    for name, team in load_teams(repo).items():
        rows.append((name, ", ".join(team.get("environments", everywhere)), ", ".join(team["allowedNodeGroups"])))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, environments, groups in rows:
        print(f"{name:{widths[0]}}  {environments:{widths[1]}}  {groups}")
