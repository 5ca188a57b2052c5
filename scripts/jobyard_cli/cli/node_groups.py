"""`jobyard node-groups`: the catalogue of node groups in the form of another tool."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.options import EnvironmentName, PlatformRepository


class NodeGroupFormat(StrEnum):
    """The tool that reads the file."""

    eksctl = "eksctl"


def node_groups(
    environment: EnvironmentName,
    output: Annotated[NodeGroupFormat, typer.Option("--format", help="Output format.")] = NodeGroupFormat.eksctl,
    repo: PlatformRepository = Path(),
) -> None:
    """Print the node groups as EKS managed node groups, for `eksctl create nodegroup -f`."""
    from jobyard_cli.platform.environments import load_environment, load_node_groups
    from jobyard_cli.platform.node_groups import eksctl_text

    chosen, groups = load_environment(repo, environment), load_node_groups(repo)
    match output:
        case NodeGroupFormat.eksctl:
            print(eksctl_text(chosen, groups), end="")
