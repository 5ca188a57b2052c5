"""The teams' pools in Airflow: how many tasks of each team there are at once.

A deferred task holds a slot of its pool, since its pod runs: so the slots are the team's tasks at once, whether a
worker or Airflow's triggerer follows their pods. A sensor that is rescheduled holds none between its looks.

The principal that publishes the library makes them, through Airflow's API: its code runs in Airflow anyway, so the
permission to make pools gives nothing that publishing does not. Airflow starts no task whose pool does not exist, hence
pools come before the library that names them. A pool that nothing needs any longer stays: no release can name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowBusyError, AirflowError, AirflowPermissionError
from jobyard_cli.platform.teams import tasks_at_once

DESCRIPTION = "Made by jobyard publish-platform, from values/teams."
DEFAULT_POOL = "default_pool"
"""Airflow's own, for tasks that name no pool."""
UNLIMITED = -1
"""Slots of a pool without a limit."""


def wanted_pools(teams: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the slots of each pool: the team's other tasks get those that its own pools leave."""
    wanted: dict[str, int] = {}
    for team, values in sorted(teams.items()):
        pools: Mapping[str, int] = values.get("pools", {})
        wanted[team] = tasks_at_once(values) - sum(pools.values())
        for pool, slots in sorted(pools.items()):
            wanted[f"{team}.{pool}"] = slots
    return wanted


def make_pools(airflow: AirflowClient, wanted: Mapping[str, int]) -> list[str]:
    """Create or update the pools; return the names of those that changed.

    Raises:
        AirflowError: unreachable, or refused.
    """
    existing = airflow.by_name("pools", "pools")
    changed = []
    for name, slots in wanted.items():
        pool = existing.get(name)
        if pool is None:
            body = {"name": name, "slots": slots, "description": DESCRIPTION, "include_deferred": True}
            airflow.call("POST", "pools", body)
        elif _differs(pool, slots):
            _change(airflow, name, slots)
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


def _differs(pool: Mapping[str, Any], slots: int) -> bool:
    return pool["slots"] != slots or not pool.get("include_deferred")


def _change(airflow: AirflowClient, name: str, slots: int) -> None:
    """Airflow 3 wants the pool's name in the body as `pool`, Airflow 2 as `name`, and each refuses the other."""
    body = {"slots": slots, "include_deferred": True}
    try:
        airflow.call("PATCH", f"pools/{name}", {"pool": name, **body})
    except (AirflowBusyError, AirflowPermissionError):
        raise
    except AirflowError:
        airflow.call("PATCH", f"pools/{name}", {"name": name, **body})
