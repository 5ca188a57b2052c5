"""`jobyard node-groups`: the catalogue of node groups, for another tool to read; groups that are added and updated."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import OptionalEnvironmentName, PlatformRepository, names_in
from jobyard_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobyard_cli.platform.catalogue import Change

InstanceTypes = Annotated[
    str,
    typer.Option(
        help="EC2 instance types, separated by commas. Several let the autoscaler take what there is, and what is"
        " cheapest; pods may ask for as much as the largest has."
    ),
]


class NodeGroupFormat(StrEnum):
    """The tool that reads the file."""

    eksctl = "eksctl"


class CapacityType(StrEnum):
    """How AWS sells the machines."""

    on_demand = "on-demand"
    spot = "spot"


app = typer.Typer()


@app.callback(invoke_without_command=True)
def node_groups(
    context: typer.Context,
    environment: OptionalEnvironmentName = None,
    output: Annotated[NodeGroupFormat, typer.Option("--format", help="Output format.")] = NodeGroupFormat.eksctl,
    repo: PlatformRepository = Path(),
) -> None:
    """Print the node groups as EKS managed node groups, for `eksctl create nodegroup -f`; add and update them."""
    if context.invoked_subcommand:
        return
    if environment is None:
        raise UsageError("give --environment, whose cluster the node groups are for, or a command: add, update")
    from jobyard_cli.platform.environments import load_environment, load_node_groups
    from jobyard_cli.platform.machines import read_machines
    from jobyard_cli.platform.node_groups import eksctl_text

    chosen, groups = load_environment(repo, environment), load_node_groups(repo)
    match output:
        case NodeGroupFormat.eksctl:
            print(eksctl_text(chosen, groups, read_machines(repo)), end="")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the node group, such as high-cpu.")],
    instance_types: InstanceTypes,
    description: Annotated[str, typer.Option(help="What the machines are for, in words.")],
    disk: Annotated[int, typer.Option(help="Size of a machine's volume, in GiB.")] = 100,
    max_nodes: Annotated[int, typer.Option(help="Most machines that there may be.")] = 10,
    capacity_type: Annotated[CapacityType, typer.Option(help="How AWS sells the machines.")] = CapacityType.on_demand,
    repo: PlatformRepository = Path(),
) -> None:
    """Add a node group to values/node-groups.yaml, with what pods can get of its machines computed."""
    from jobyard_cli.platform.catalogue import NewGroup
    from jobyard_cli.platform.catalogue import add as add_group

    group = NewGroup(name, names_in(instance_types), description, disk, max_nodes, capacity_type.value)
    _tell([add_group(repo, group)], "added")
    print("next: name it in `allowedNodeGroups` of the teams that may use it, in values/teams/")


@app.command()
def update(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Node group.", show_default="all")] = None,
    instance_types: InstanceTypes = "",
    repo: PlatformRepository = Path(),
) -> None:
    """Compute again what pods can get of the machines of a node group, or of other machines that it is to have."""
    from jobyard_cli.platform.catalogue import update as update_groups

    if instance_types and name is None:
        raise UsageError("--instance-types needs the NAME of a node group; got none")
    changes = update_groups(repo, name, names_in(instance_types))
    _tell(changes, "updated")
    if not changes:
        print("nothing to update")


def _tell(changes: Iterable[Change], what: str) -> None:
    for change in changes:
        print(f"{what} {change.name}")
        for line in change.lines:
            print(line)
