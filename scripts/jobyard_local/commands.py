"""`jobyard local`: start, look at and stop a platform on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.errors import UsageError
from jobyard_cli.system.folders import cache_dir, state_dir
from rich.console import Console
from rich.table import Table

from jobyard_local import argocd, metrics, team_commands
from jobyard_local.cluster import node_groups
from jobyard_local.errors import NotRunningError
from jobyard_local.platform import Existing, LocalPlatform, build
from jobyard_local.settings import Source

app = typer.Typer(no_args_is_help=True, help="A whole platform on this machine: Kubernetes, Argo CD, S3 and Airflow.")
app.add_typer(team_commands.app, name="team")

Name = Annotated[str, typer.Option(help="Name of the platform; each has its own state directory.")]


@app.command()
def up(
    name: Name = "local",
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            help="Kubeconfig of an existing cluster to use, as its administrator, instead of starting one.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Context in --kubeconfig.", show_default="the current one")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="With --kubeconfig: address at which the cluster's pods reach this machine. The S3 server (with keys) "
            "and the image registry (without authentication) listen there."
        ),
    ] = None,
) -> None:
    """Start the platform, or restart what ended; the first start builds its programs."""
    source, console = Source.find(), new_console()
    if kubeconfig is None and (context or address):
        raise UsageError("--context and --address need --kubeconfig")
    existing = Existing(kubeconfig.absolute(), context, address) if kubeconfig else None
    platform = LocalPlatform(state_dir(name), source)
    with platform.claim(), Steps(console) as steps:
        platform.up(build(source, cache_dir(), steps, embedded=platform.is_embedded(existing)), steps, existing)
    show_addresses(platform, console)
    if not platform.layout.embedded:
        for group in sorted(platform.node_groups.keys() - node_groups(platform.kubectl).values()):
            console.print(f"[yellow]![/yellow] no node is of node group {group} now", highlight=False)


@app.command()
def down(
    name: Name = "local",
    purge: Annotated[bool, typer.Option(help="Also delete its state: the next `up` starts from scratch.")] = False,
) -> None:
    """Stop the platform, and keep the programs that were built."""
    platform = LocalPlatform(state_dir(name), Source.find())
    with platform.claim():
        platform.down(purge)


@app.command()
def status(
    name: Name = "local",
    output: Annotated[str, typer.Option("--format", help="Output format: text or json.")] = "text",
) -> None:
    """Show the platform's processes and the status of each Argo CD Application."""
    platform, console = LocalPlatform(state_dir(name), Source.find()), new_console()
    processes = platform.processes()
    serves = processes.get("kube-apiserver", False)
    applications = argocd.statuses(platform.kubectl) if serves else []
    if output == "json":
        console.print_json(json.dumps({"processes": processes, "applications": [asdict(one) for one in applications]}))
    elif processes:
        show_processes(processes, console)
        show_applications(applications, console)
        show_addresses(platform, console)
    else:
        console.print(str(NotRunningError(name)), soft_wrap=True)
    if not processes or not all(processes.values()):
        raise typer.Exit(1)


def show_processes(processes: dict[str, bool], console: Console) -> None:
    """A line that counts them; the ones that ended by name."""
    dead = [name for name, alive in processes.items() if not alive]
    console.print(f"{len(processes) - len(dead)} of {len(processes)} processes run", highlight=False)
    for name in dead:
        console.print(f"[red]✗[/red] {name} ended; `jobyard local up` starts it again")


def show_applications(applications: list[argocd.ApplicationStatus], console: Console) -> None:
    """How each Application stands, with Argo CD's messages."""
    table = Table("Application", "sync", "health", "commit", "messages", title="Argo CD", title_justify="left")
    for one in applications:
        table.add_row(one.name, one.sync, one.health, one.revision[:10], "\n".join(one.messages))
    console.print(table)


def show_addresses(platform: LocalPlatform, console: Console) -> None:
    """Where a person finds each part."""
    layout = platform.layout
    rows = {
        "Airflow": layout.airflow_url,
        "Kubernetes": f"KUBECONFIG={layout.admin_kubeconfig}",
        "S3": f"{layout.s3_url} (key in {layout.state / 's3' / 'root'})",
        "registry": layout.registry,
        "metrics": metrics.page_url(layout) if layout.embedded else "none: they need a Prometheus",
        "Prometheus": layout.prometheus_url if layout.embedded else "the cluster's own, if it has one",
        "logs": str(layout.state / "logs"),
    }
    for title, value in rows.items():
        console.print(f"[bold]{title:<11}[/bold]{value}", highlight=False, soft_wrap=True)
