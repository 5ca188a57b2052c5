"""The teams' pools in Airflow: how many worker slots each team may hold.

They are made through Airflow's API, by whoever publishes the library: that one's code runs in Airflow anyway, so the
right to make pools gives nothing that publishing does not. Airflow starts no task whose pool does not exist, hence
pools come before the library that names them. A pool that nothing needs any longer stays: no release can name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.environments import WORKER_SLOTS

DESCRIPTION = "Made by jobyard publish-platform, from values/teams."


def wanted_pools(teams: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The slots of each pool: those that the team's own pools leave are for its other tasks."""
    wanted: dict[str, int] = {}
    for team, values in sorted(teams.items()):
        pools: Mapping[str, int] = values.get("pools", {})
        wanted[team] = int(values.get("workerSlots", WORKER_SLOTS)) - sum(pools.values())
        wanted |= {f"{team}.{pool}": slots for pool, slots in sorted(pools.items())}
    return wanted


def make_pools(airflow: AirflowClient, wanted: Mapping[str, int]) -> list[str]:
    """Make or mend the pools; the names of those that were not so already.

    A task that waits without a worker, deferred or to be looked at again later, holds no slot of its pool.

    Raises:
        AirflowError: unreachable, or refused.
    """
    there = {str(pool["name"]): pool for pool in airflow.listed("pools", "pools")}
    changed = []
    for name, slots in wanted.items():
        pool = there.get(name)
        if pool is None:
            body = {"name": name, "slots": slots, "description": DESCRIPTION, "include_deferred": False}
            airflow.call("POST", "pools", body)
        elif differing := _differing(pool, {"slots": slots, "include_deferred": False}):
            for field, value in differing.items():
                # Field by field: what else a body has to have differs between Airflow 2 and 3.
                airflow.call("PATCH", f"pools/{name}?update_mask={field}", {field: value})
        else:
            continue
        changed.append(name)
    return changed


def missing_pools(airflow: AirflowClient, names: set[str]) -> list[str]:
    """Those of the pools that Airflow does not have.

    Raises:
        AirflowError: unreachable, or refused.
    """
    return sorted(names - {str(pool["name"]) for pool in airflow.listed("pools", "pools")})


def _differing(pool: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in wanted.items() if pool.get(field) != value}
