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

    A task that waits without a worker, deferred or to be looked at again later, holds no slot of its pool.

    Raises:
        AirflowError: unreachable, or refused.
    """
    existing = airflow.by_name("pools", "pools")
    changed = []
    for name, slots in wanted.items():
        pool = existing.get(name)
        if pool is None:
            body = {"name": name, "slots": slots, "description": DESCRIPTION, "include_deferred": False}
            airflow.call("POST", "pools", body)
        elif _differs(pool, slots):
            _change(airflow, name, slots)
        else:
            continue
        changed.append(name)
    return changed


def missing_pools(airflow: AirflowClient, names: set[str]) -> list[str]:
    """Return those of the pools that Airflow does not have.

    Raises:
        AirflowError: unreachable, or refused.
    """
    return sorted(names - airflow.by_name("pools", "pools").keys())


def _differs(pool: Mapping[str, Any], slots: int) -> bool:
    return pool["slots"] != slots or bool(pool.get("include_deferred"))


def _change(airflow: AirflowClient, name: str, slots: int) -> None:
    """Airflow 3 wants the pool's name in the body as `pool`, Airflow 2 as `name`, and each refuses the other."""
    body = {"slots": slots, "include_deferred": False}
    try:
        airflow.call("PATCH", f"pools/{name}", {"pool": name, **body})
    except (AirflowBusyError, AirflowPermissionError):
        raise
    except AirflowError:
        airflow.call("PATCH", f"pools/{name}", {"name": name, **body})
