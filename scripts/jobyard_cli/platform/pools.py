"""The teams' pools in Airflow: how many worker slots each team may hold.

The principal that publishes the library makes them, through Airflow's API: its code runs in Airflow anyway, so the
permission to make pools gives nothing that publishing does not. Airflow starts no task whose pool does not exist, hence
pools come before the library that names them. A pool that nothing needs any longer stays: no release can name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowBusyError, AirflowError, AirflowPermissionError
from jobyard_cli.platform.teams import WORKER_SLOTS

DEFAULT_POOL = "default_pool"
"""Airflow's own, for tasks that name no pool."""
UNLIMITED = -1
"""Slots of a pool without a limit."""
DESCRIPTION = "Made by jobyard publish-platform, from values/teams."


def wanted_pools(teams: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the slots of each pool: the team's other tasks get those that its own pools leave."""
    wanted: dict[str, int] = {}
    for team, values in sorted(teams.items()):
        pools: Mapping[str, int] = values.get("pools", {})
        wanted[team] = int(values.get("workerSlots", WORKER_SLOTS)) - sum(pools.values())
        for pool, slots in sorted(pools.items()):
            wanted[f"{team}.{pool}"] = slots
    return wanted


def make_pools(airflow: AirflowClient, wanted: Mapping[str, int]) -> list[str]:
    """Create or update the pools; return the names of those that changed.

    A pool that the team's file names limits what runs at once, deferred tasks included. The team's own pool limits the
    worker slots that it holds; a deferred task holds none.

    Raises:
        AirflowError: unreachable, or refused.
    """
    existing = airflow.by_name("pools", "pools")
    changed = []
    for name, slots in wanted.items():
        pool = existing.get(name)
        size = {"slots": slots, "include_deferred": "." in name}
        if pool is None:
            airflow.call("POST", "pools", {"name": name, "description": DESCRIPTION, **size})
        elif any(pool.get(field, False) != value for field, value in size.items()):
            _change(airflow, name, size)
        else:
            continue
        changed.append(name)
    return changed


def default_pool_slots(airflow: AirflowClient) -> int:
    """Return the slots of Airflow's own pool; `UNLIMITED` if it has no limit.

    Raises:
        AirflowError: unreachable, or refused.
    """
    return int(airflow.call("GET", f"pools/{DEFAULT_POOL}")["slots"])


def missing_pools(airflow: AirflowClient, names: set[str]) -> list[str]:
    """Return those of the pools that Airflow does not have.

    Raises:
        AirflowError: unreachable, or refused.
    """
    return sorted(names - airflow.by_name("pools", "pools").keys())


def _change(airflow: AirflowClient, name: str, size: Mapping[str, Any]) -> None:
    """Airflow 3 wants the pool's name in the body as `pool`, Airflow 2 as `name`, and each refuses the other."""
    try:
        airflow.call("PATCH", f"pools/{name}", {"pool": name, **size})
    except (AirflowBusyError, AirflowPermissionError):
        raise
    except AirflowError:
        airflow.call("PATCH", f"pools/{name}", {"name": name, **size})
