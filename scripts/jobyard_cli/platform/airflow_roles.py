"""A role in Airflow for each team, whose people see the team's DAGs and no others.

The DAGs name it as theirs (`access_control`). Airflow refuses a whole file of DAGs that name a role which does not
exist, so the roles come before the library that names them. A role has what Airflow's `Viewer` may look at inside a
DAG, and not the right to see every DAG.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.transport import AirflowError, AirflowNotFoundError
from jobyard_cli.errors import JobyardError

MODEL = "Viewer"
PATHS = ("roles", "/auth/fab/v1/roles")
"""The REST API of Airflow 2 has roles; in Airflow 3 the FAB auth manager has its own API, which MWAA does not serve."""
# Airflow shows of these what belongs to DAGs that one may see. Assets, pools and the like it shows whole, or not.
OF_A_DAG = frozenset(
    {
        "DAG Code",
        "DAG Runs",
        "DAG Versions",
        "DAG Warnings",
        "HITL Detail",
        "Task Instances",
        "Task Logs",
        "XComs",
    }
)
OF_A_PERSON = frozenset({"My Password", "My Profile", "Website"})
MENUS = frozenset({"Browse", "DAG Runs", "DAGs", "Task Instances"})
ADDED = (("can_create", "DAG Runs"), ("can_edit", "DAG Runs"), ("can_edit", "Task Instances"))
"""With the right to edit their own DAGs, the team's people may start runs and clear tasks of those.

Airflow asks for both rights to edit before it clears a task.
"""


class AirflowRolesError(JobyardError):
    """Airflow's roles can't be made from here."""

    def __init__(self, missing: list[str], why: str) -> None:
        names = ", ".join(missing)
        super().__init__(
            f"Airflow lacks these roles, which the teams' DAGs would name: {names}. This command "
            "can't create them "
            f"({why}); create them as docs/iam.md says, or take `airflowRoles` out of the environment's file"
        )


def make_roles(airflow: AirflowClient, teams: Iterable[str]) -> list[str]:
    """Make the roles that Airflow does not have; their names.

    Raises:
        AirflowRolesError: Airflow has no API for them, or refuses.
    """
    wanted = sorted(teams)
    path, existing = _existing(airflow, wanted)
    missing = sorted(set(wanted) - existing.keys())
    for team in missing:
        try:
            airflow.call("POST", path, {"name": team, "actions": list(_permissions(existing[MODEL]))})
        except AirflowError as error:
            raise AirflowRolesError(missing, str(error)) from error
    return missing


def _existing(airflow: AirflowClient, wanted: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the path at which this Airflow has its roles, and each role by its name."""
    for path in PATHS:
        try:
            return path, airflow.by_name(path, "roles")
        except AirflowNotFoundError:
            continue
        except AirflowError as error:
            raise AirflowRolesError(wanted, str(error)) from error
    raise AirflowRolesError(wanted, "its API has no roles")


def _permissions(model: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the permissions of a team's role: those of the model that a team may have, and those that it lacks."""
    for permission in model["actions"]:
        action, resource = str(permission["action"]["name"]), str(permission["resource"]["name"])
        if _is_kept(action, resource):
            yield _permission(action, resource)
    for action, resource in ADDED:
        yield _permission(action, resource)


def _is_kept(action: str, resource: str) -> bool:
    if action == "menu_access":
        return resource in MENUS
    return resource in OF_A_DAG or resource in OF_A_PERSON


def _permission(action: str, resource: str) -> dict[str, Any]:
    """Return a permission as the API has it."""
    return {"action": {"name": action}, "resource": {"name": resource}}
