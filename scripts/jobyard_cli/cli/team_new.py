"""`jobyard team new`: a team's file and its repository."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import PlatformRepository, names_in

if TYPE_CHECKING:
    from jobyard_cli.team.new import Added, NewTeam

BAND = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")


class Ci(StrEnum):
    """The CI system whose pipeline files the team's repository gets."""

    gitlab = "gitlab"
    github = "github"


def _band(text: str) -> tuple[int, int]:
    from jobyard_cli.team.new import TeamAnswersError

    if found := BAND.fullmatch(text.replace(" ", "")):
        return int(found[1]), int(found[2])
    raise TeamAnswersError([f"--priority-band must be a band of priorities, such as 1000-9999; got '{text}'"])


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the team; its namespace is team-NAME.")],
    owner: Annotated[str, typer.Option(help="E-mail address of the owner of the team's jobs.")],
    repo_url: Annotated[str, typer.Option(help="URL that the team's repository will have.")],
    repo_name: Annotated[
        str | None, typer.Option(help="Name of the repository and its directory.", show_default="the end of the URL")
    ] = None,
    node_groups: Annotated[
        str, typer.Option(help="Node groups that the team may use, separated by commas.")
    ] = "default, high-cpu, high-memory",
    environments: Annotated[
        str,
        typer.Option(
            help="Environments, in the order in which changes are promoted, separated by commas.",
            show_default="all, by name",
        ),
    ] = "",
    ci: Annotated[Ci, typer.Option(help="CI system that hosts the repository and runs its pipelines.")] = Ci.gitlab,
    cost_center: Annotated[
        str | None, typer.Option(help="Cost center that the team's costs go to.", show_default="the team's name")
    ] = None,
    priority_band: Annotated[
        str, typer.Option(help="Lowest and highest priority of the team's pods, as MIN-MAX.")
    ] = "1000-9999",
    pods: Annotated[int, typer.Option(help="Quota: pods at a time.")] = 20,
    cpu: Annotated[str, typer.Option(help="Quota: CPU requests.")] = "32",
    memory: Annotated[str, typer.Option(help="Quota: memory requests.")] = "128Gi",
    ephemeral_storage: Annotated[str, typer.Option(help="Quota: ephemeral storage requests.")] = "200Gi",
    gpu: Annotated[int, typer.Option(help="Quota: GPUs.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory to create the repository in.", show_default="next to the platform repository"),
    ] = None,
    file_only: Annotated[
        bool,
        typer.Option("--file-only", help="Write only the team's file, for a repository made by cookiecutter or cruft."),
    ] = False,
    repo: PlatformRepository = Path(),
) -> None:
    """Add a team: create values/teams/NAME.yaml and the team's repository, both or neither."""
    from jobyard_cli.team.new import NewTeam, Quota, add_team

    team = NewTeam(
        name=name,
        owner=owner,
        repo_url=repo_url,
        repo_name=repo_name or re.split("[/:]", repo_url.rstrip("/"))[-1].removesuffix(".git"),
        node_groups=names_in(node_groups),
        environments=names_in(environments),
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
    print(f"  1. review {added.file}: quota, priority band, IAM roles, who may view pods")
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
        print("  uncommitted changes here are not in it")
