"""What Airflow has to have before the library that names it: the teams' pools, and their roles where there are."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.airflow.client import airflow_client, names_airflow
from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.airflow_roles import make_roles
from jobyard_cli.platform.environments import ENVIRONMENTS, Environment
from jobyard_cli.platform.pools import DEFAULT_POOL, UNLIMITED, default_pool_slots, make_pools, wanted_pools

SMALL_DEFAULT_POOL = 128
"""Slots of `default_pool` that Airflow makes; MWAA has made it with 10,000 since August 2026."""


class MissingAirflowError(JobyardError):
    """Nothing says where Airflow is."""

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"{ENVIRONMENTS}/{environment}.yaml must name the Airflow in which to create the teams' pools: write "
            "`airflow` or `airflowUrl` under `environment`, or give --airflow-url, or "
            "--no-pools if something else creates them"
        )


def prepare(environment: Environment, url: str | None = None) -> Iterator[str]:
    """Make what is missing; a line for each that was made or changed.

    Raises:
        MissingAirflowError: neither the environment's file nor `url` says where Airflow is.
        AirflowError: unreachable, or refused.
        AirflowRolesError: the teams are to have roles, which can't be made through this Airflow's API.
    """
    values = environment.values
    if not names_airflow(values, url):
        raise MissingAirflowError(environment.name)
    airflow = airflow_client(values, url)
    wanted = wanted_pools(environment.all_teams)
    for name in make_pools(airflow, wanted):
        yield f"pool {name}: {wanted[name]} slots"
    slots, taken = values.get("airflowSlots"), sum(wanted.values())
    if slots is not None and taken > slots:
        excess = f"the teams' workerSlots are {taken} in total, and Airflow has {slots}"
        yield f"warning: {excess}: a team may wait for others' tasks"
    yield from _small_default_pool(default_pool_slots(airflow))
    if values.get("airflowRoles"):
        for name in make_roles(airflow, environment.teams):
            yield f"role {name}"


def _small_default_pool(slots: int) -> Iterator[str]:
    if UNLIMITED < slots <= SMALL_DEFAULT_POOL:
        command = f'airflow pools set {DEFAULT_POOL} 10000 "Default pool"'
        yield (
            f"warning: Airflow's {DEFAULT_POOL} has {slots} slots, as in MWAA environments from before August 2026: "
            "tasks of DAGs that are not Jobyard's share them, unless they name another pool; no task of Jobyard's uses "
            f"it. To raise it: Admin > Pools on Airflow's page, or `{command}`"
        )
