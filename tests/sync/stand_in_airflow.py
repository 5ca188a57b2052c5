"""A stand-in for Airflow's REST API (version 2) that has every release the moment it is in the bucket."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

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
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def reset(self, bucket: str) -> None:
        """Forget everything, and use another bucket."""
        self.bucket, self.variables, self.written = bucket, {}, 0

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and content."""
        match [method, *path.strip("/").removeprefix("api/v2/").split("/")]:
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
        return 404, {"detail": f"{method} {path}"}

    def _variable(self, method: str, name: str, body: Any) -> tuple[int, Any]:
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


def _handler(airflow: StandInAirflow) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, content = airflow.answer(self.command, urlsplit(self.path).path, body)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
