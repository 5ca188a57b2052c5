"""A team's token from the exec plugin of Airflow's kubeconfig, beside `aws eks get-token`, which it runs."""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

from jobs import ROOT
from jobyard_cli.platform.exec_entry import exec_entry
from measure import Target, in_turn

ROUNDS = 15
PARALLEL = 20
LESS = "takes {} times the CPU time of"
KEPT, AWS = "the plugin, token kept", "`aws eks get-token`"
NEW, START = "the plugin, no token kept", "`python3 -I -S -c pass`"
TARGET = Target("at most", 0.1)
ARGUMENTS = ["--cluster-name", "jobyard-prod", "--region", "eu-central-1"]
ROLE = ["--role-arn", "arn:aws:iam::111122223333:role/jobyard-risk", "--output", "json"]
# What the AWS command line reads of STS's answer.
ANSWER = b"""\
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIABENCH</AccessKeyId><SecretAccessKey>bench</SecretAccessKey><SessionToken>bench</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>
"""


def section() -> str:
    """Measure, and return the result as Markdown."""
    with tempfile.TemporaryDirectory() as scratch, _sts() as address:
        folder = Path(scratch)
        variables = _variables(folder, address)
        command = ["aws", "eks", "get-token", *ARGUMENTS, *ROLE]
        plugin = _through_plugin(command)
        sides = {
            AWS: lambda: _cpu(command, variables),
            KEPT: lambda: _cpu(plugin, {**variables, "JOBYARD_TOKEN_CACHE": f"{scratch}/kept"}),
            NEW: lambda: _cpu(plugin, {**variables, "JOBYARD_TOKEN_CACHE": tempfile.mkdtemp(dir=folder)}),
            START: lambda: _cpu(["python3", "-I", "-S", "-c", "pass"], variables),
        }
        rounds = in_turn(sides, ROUNDS)
        runs = _runs_of_many(folder, command, variables)
    return f"""\
## A team's token

CPU time in milliseconds, user and system, of a process and those that it starts. `aws eks get-token` assumes a role;
awscli {version("awscli")} is from PyPI, and so not the 2.x that MWAA has. A stand-in on this machine answers for
STS: neither the network nor TLS is included. `python3` is {_python(variables)}, `sh` is {_shell()}.

{rounds.table(1000)}
{rounds.compare(KEPT, AWS, TARGET, LESS)}
{PARALLEL} processes at once that find no token run `aws eks get-token` {runs} time{"s"[: runs != 1]}.
"""


def _variables(folder: Path, sts: str) -> dict[str, str]:
    """The environment of every side: nothing but what is written here."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin",
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_ENDPOINT_URL_STS": sts,
        # It would look for the region of the machine.
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _through_plugin(command: list[str]) -> list[str]:
    """The command as a client starts it that reads Airflow's kubeconfig."""
    entry = exec_entry(command, str(ROOT / "dags"))
    arguments = entry["args"]
    assert isinstance(arguments, list)
    return [str(entry["command"]), *arguments]


def _cpu(command: list[str], variables: Mapping[str, str]) -> float:
    """Seconds of CPU that a command takes that has to succeed, with the processes that it starts."""
    before = _spent()
    subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)
    return _spent() - before


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _runs_of_many(folder: Path, command: list[str], variables: Mapping[str, str]) -> int:
    """How often the command runs when many processes need its token at the same time."""
    noted = ["sh", "-c", f'echo >>{shlex.quote(f"{folder}/runs")}; exec "$@"', "sh", *command]
    environment = {**variables, "JOBYARD_TOKEN_CACHE": f"{folder}/parallel"}
    started = []
    for _ in range(PARALLEL):
        started.append(subprocess.Popen(_through_plugin(noted), env=environment, stdout=subprocess.PIPE))
    answers = {process.communicate()[0] for process in started}
    assert len(answers) == 1, "each got another token"
    return len((folder / "runs").read_text().splitlines())


def _python(variables: Mapping[str, str]) -> str:
    asked = subprocess.run(["python3", "--version"], env=variables, check=True, capture_output=True, text=True)
    return asked.stdout.strip()


def _shell() -> str:
    return Path("/bin/sh").resolve().name


@contextmanager
def _sts() -> Iterator[str]:
    """The address of a stand-in for STS, which lets everybody assume every role."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _AssumeRole)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _AssumeRole(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output quiet."""
