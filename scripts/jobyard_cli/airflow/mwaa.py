"""Airflow's REST API through MWAA, which signs in each principal that has the permission to call it."""

from __future__ import annotations

from typing import Any

from jobyard_cli.airflow.transport import (
    AirflowBusyError,
    AirflowError,
    AirflowNotFoundError,
    AirflowPermissionError,
    refusal,
)
from jobyard_cli.aws.errors import code, explain, may_pass

_DENIED = "AccessDeniedException"
_HINTS = {
    _DENIED: "the role needs airflow:InvokeRestApi on this environment",
    "ResourceNotFoundException": "check `airflow` and `region` in the environment's file",
}
_ROLES = "look at the Airflow role that the policy for airflow:InvokeRestApi names, and at the roles of that user"
LONGEST_PATH = 64
"""Characters, by MWAA's reference of InvokeRestApi."""


class MwaaTransport:
    """The API of one environment of MWAA."""

    def __init__(self, client: Any, name: str) -> None:
        """Take boto3's client for MWAA, and the environment's name."""
        self.address = f"MWAA's {name}"
        self._client = client
        self._name = name

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Return the parsed answer of one call, as `Transport` defines it.

        Raises:
            AirflowError: refused, with Airflow's or AWS's own words.
            AirflowBusyError: no answer, or not now.
            AirflowNotFoundError: no such thing.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        if path.startswith("/"):
            raise AirflowNotFoundError(f"{self.address} forwards only calls to Airflow's REST API; got {path}")
        try:
            answer = self._client.invoke_rest_api(**self._arguments(method, path, query, body))
        except ClientError as error:
            raise self._refusal(f"{method} {path}", error) from error
        except BotoCoreError as error:
            if may_pass(error):
                raise AirflowBusyError(f"{self.address} can't be reached: {error}") from error
            raise AirflowError(f"{self.address}: {explain(error)}") from error
        return answer.get("RestApiResponse")

    def _arguments(self, method: str, path: str, query: dict[str, Any] | None, body: Any) -> dict[str, Any]:
        """The call as boto3 takes it, which refuses None."""
        arguments: dict[str, Any] = {"Name": self._name, "Path": f"/{path}", "Method": method}
        if query is not None:
            arguments["QueryParameters"] = query
        if body is not None:
            arguments["Body"] = body
        return arguments

    def _refusal(self, call: str, error: Any) -> AirflowError:
        """Airflow's own answer where it gave one, else AWS's."""
        response = error.response
        if status := response.get("RestApiStatusCode"):
            return refusal(self.address, call, int(status), str(response.get("RestApiResponse")), _ROLES)
        message = f"{self.address}: {call}: {explain(error, _HINTS)}"
        if may_pass(error):
            return AirflowBusyError(message)
        if code(error) == _DENIED:
            return AirflowPermissionError(message)
        if code(error) == "ValidationException" and len(call.partition(" ")[2]) >= LONGEST_PATH:
            message += f" (MWAA takes paths of at most {LONGEST_PATH} characters: use Airflow's page for this)"
        return AirflowError(message)
