"""A stand-in for Airflow's REST API (version 2) that has every release the moment it is in the bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from botocore.exceptions import ClientError

from tests.support.json_api import Answer, JsonServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class StandInAirflow:
    """Its Variables, and DAGs made of what a bucket has."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3
        self.bucket = ""
        self.variables: dict[str, str] = {}
        self.written = 0
        """How often a Variable was written."""
        self._server = JsonServer(self.answer)
        self.url = self._server.url

    def reset(self, bucket: str) -> None:
        """Forget everything, and use another bucket."""
        self.bucket, self.variables, self.written = bucket, {}, 0

    def close(self) -> None:
        """Stop answering."""
        self._server.close()

    def answer(self, method: str, address: SplitResult, body: Any) -> Answer:
        """Answer one call."""
        match [method, *address.path.strip("/").removeprefix("api/v2/").split("/")]:
            case ["GET", "version"]:
                return 200, {"version": "3.3.1"}
            case ["GET", "auth", "token"]:
                return 201, {"access_token": "everyone"}
            case ["GET", "importErrors"]:
                return 200, {"import_errors": [], "total_entries": 0}
            case ["GET", "pools"]:
                return 200, {"pools": [{"name": "risk"}, {"name": "risk.warehouse"}], "total_entries": 2}
            case ["GET", "dags"]:
                dags = [{"dag_id": name, "is_paused": False, "tags": [], "description": ""} for name in self._jobs()]
                return 200, {"dags": dags, "total_entries": len(dags)}
            case ["GET", "dags", dag, "details"]:
                return 200, {"doc_md": f"Digest of the job: `{self._jobs()[dag]}`"}
            case [_, "variables", *name]:
                return self._variable(method, "".join(name), body)
        return 404, {"detail": f"{method} {address.path}"}

    def _variable(self, method: str, name: str, body: Any) -> Answer:
        if method != "GET":
            self.written += 1
            self.variables[body["key"]] = body["value"]
            return 200, body
        if name in self.variables:
            return 200, {"key": name, "value": self.variables[name]}
        return 404, {"detail": "no such Variable"}

    def _jobs(self) -> dict[str, str]:
        try:
            body = self._s3.get_object(Bucket=self.bucket, Key="dags/risk/jobs.json")["Body"].read()
        except ClientError:
            return {}
        return {f"risk.{name}": job["digest"] for name, job in json.loads(body)["jobs"].items()}
