"""`jobyard team list`: the teams that the platform has."""

from __future__ import annotations

from pathlib import Path

from jobyard_cli.cli.options import PlatformRepository


def list_teams(repo: PlatformRepository = Path()) -> None:
    """List the teams with their environments and node groups."""
    from jobyard_cli.platform.environments import environment_names, load_teams

    everywhere = environment_names(repo)
    rows = [("team", "environments", "node groups")]
    for name, team in load_teams(repo).items():
        environments = team.values.get("environments", everywhere)
        rows.append((name, ", ".join(environments), ", ".join(team.values["allowedNodeGroups"])))
    names, environment_lists, _ = zip(*rows, strict=True)
    first, second = max(map(len, names)), max(map(len, environment_lists))
    for name, environments, groups in rows:
        print(f"{name:{first}}  {environments:{second}}  {groups}")
