"""Which API of Airflow's has the roles, and what is said where neither has them."""

from __future__ import annotations

from typing import Any

import pytest
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.mwaa import MwaaTransport
from jobyard_cli.airflow.transport import AirflowNotFoundError
from jobyard_cli.platform.airflow_roles import AirflowRolesError, make_roles

VIEWER = {
    "name": "Viewer",
    "actions": [
        {"action": {"name": "can_read"}, "resource": {"name": "DAG Runs"}},
        {"action": {"name": "can_read"}, "resource": {"name": "DAGs"}},
    ],
}


class RolesAt:
    """An Airflow whose roles are at one path."""

    address = "airflow.example.com"

    def __init__(self, path: str) -> None:
        self.path = path
        self.roles: list[Any] = [VIEWER]

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """List or create roles."""
        if path != self.path:
            raise AirflowNotFoundError(f"no {path}")
        if method == "POST":
            self.roles.append(body)
            return body
        return {"roles": self.roles, "total_entries": len(self.roles)}


@pytest.mark.parametrize("path", ["roles", "/auth/fab/v1/roles"])
def test_roles_are_made_where_this_airflow_has_them(path: str) -> None:
    airflow = RolesAt(path)
    assert make_roles(AirflowClient(airflow), ["risk", "care"]) == ["care", "risk"]
    assert [role["name"] for role in airflow.roles] == ["Viewer", "care", "risk"]
    assert airflow.roles[1]["actions"] == [
        {"action": {"name": "can_read"}, "resource": {"name": "DAG Runs"}},
        {"action": {"name": "can_create"}, "resource": {"name": "DAG Runs"}},
        {"action": {"name": "can_edit"}, "resource": {"name": "DAG Runs"}},
        {"action": {"name": "can_edit"}, "resource": {"name": "Task Instances"}},
    ]
    assert make_roles(AirflowClient(airflow), ["risk", "care"]) == []


def test_an_auth_manager_without_roles_is_an_error_that_names_the_teams() -> None:
    with pytest.raises(AirflowRolesError, match=r"Airflow lacks these roles, .*: care, risk\. .*its API has no roles"):
        make_roles(AirflowClient(RolesAt("nowhere")), ["risk", "care"])


def test_mwaa_is_not_asked_for_a_path_that_it_does_not_serve() -> None:
    class Client:
        def invoke_rest_api(self, **_call: Any) -> Any:
            raise AssertionError("MWAA was asked")

    with pytest.raises(AirflowNotFoundError, match="MWAA's prod"):
        MwaaTransport(Client(), "prod").call("GET", "/auth/fab/v1/roles")
