"""`jobyard local team`: a person's own teams on the local platform."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from jobyard_cli.cli.options import names_in
from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.errors import UsageError
from jobyard_cli.system.folders import cache_dir, state_dir
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobyard_local import teams
from jobyard_local.images import Builder
from jobyard_local.platform import LocalPlatform
from jobyard_local.settings import Source
from jobyard_local.team_states import team_states
from jobyard_local.teams import SHOWN

app = typer.Typer(no_args_is_help=True, help="Your own teams on the local platform.")

Name = Annotated[str, typer.Option(help="Name of the platform, as in `jobyard local up`.")]
SECRET = re.compile(r"(?P<name>[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)=(?P<file>.+)")


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The team's repository: a git work tree.")],
    node_groups: Annotated[
        str,
        typer.Option(
            help="Node groups that the team may use, separated by commas.", show_default="those of values/team.yaml"
        ),
    ] = "",
    pods: Annotated[int | None, typer.Option(help="Quota: pods at a time.", show_default="20", min=1)] = None,
    cpu: Annotated[str | None, typer.Option(help="Quota: CPU requests.", show_default="16")] = None,
    memory: Annotated[str | None, typer.Option(help="Quota: memory requests.", show_default="32Gi")] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Kubernetes Secret to create or replace in the team's namespace, from a file of KEY=VALUE lines; may "
            "be repeated.",
        ),
    ] = None,
    name: Name = "local",
) -> None:
    """Put a team's repository on the platform: its bounds, its images, its jobs. Repeat it after each commit.

    It checks the repository first. Options that you leave out stay as they were.
    """
    quota = {"pods": pods, "cpu": cpu, "memory": memory}
    changed = {key: value for key, value in quota.items() if value is not None}
    asked = teams.Asked(names_in(node_groups), changed, dict(_secrets(secret or [])))
    platform, console = LocalPlatform(state_dir(name), Source.find()), new_console()
    with platform.claim(), Steps(console) as steps:
        added = teams.add(platform, folder, asked, Builder(cache_dir()), steps)
    _show(added, platform, console)


@app.command()
def remove(
    team: Annotated[str, typer.Argument(metavar="TEAM", help="Name of the team.")],
    name: Name = "local",
) -> None:
    """Remove a team from the platform; its repository, its data on S3 and its runs in Airflow stay."""
    platform = LocalPlatform(state_dir(name), Source.find())
    with platform.claim(), Steps(new_console()) as steps:
        teams.remove(platform, team, steps)


@app.command("list")
def list_teams(name: Name = "local") -> None:
    """List the teams: where each is from, what Argo CD has synced, and the jobs that are released."""
    states = team_states(LocalPlatform(state_dir(name), Source.find()))
    console = new_console()
    if not states:
        console.print("no team yet; `jobyard local team add FOLDER` adds one")
        return
    table = Table("team", "folder or repository", "namespace", "commit", "Argo CD", "jobs released", box=None)
    for state in states:
        jobs = str(len(state.jobs)) + (f": {', '.join(state.jobs[:SHOWN])}" if state.jobs else "")
        more = ", …" if len(state.jobs) > SHOWN else ""
        commit, stands = state.commit[:12] or "none yet", escape("\n".join(state.argocd))
        table.add_row(state.team, escape(state.source), state.namespace, commit, stands, jobs + more)
    console.print(table, highlight=False)


def _secrets(given: Iterable[str]) -> Iterable[tuple[str, Path]]:
    for text in given:
        found = SECRET.fullmatch(text)
        if found is None:
            raise UsageError(f"--secret must be the name of a Secret and a file, such as shop=shop.env; got '{text}'")
        yield found["name"], Path(found["file"])


def _show(added: teams.Added, platform: LocalPlatform, console: Console) -> None:
    """What was done, and where a person watches it."""
    for line in added.said.strip().splitlines():
        console.print(f"  [dim]jobyard sync:[/dim] {line}", highlight=False, soft_wrap=True)
    images = f"images {', '.join(added.images)}" if added.images else "no images"
    line = f"team {added.team} is on the platform at commit {added.commit[:12]}, with {images}"
    console.print(line, highlight=False, soft_wrap=True)
    for dag in added.dags:
        console.print(f"  {platform.layout.airflow_url}/dags/{dag}", highlight=False, soft_wrap=True)
    console.print("Airflow on this machine needs no login. After a change: commit it, and run this command again.")
