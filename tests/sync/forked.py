"""Runs the command in processes of their own, forked from one that has loaded everything: a start costs little.

Each line of its input is a list of runs, which are started at once; each line of its output is what became of them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.httpsession
import botocore.retries.standard
import requests
from jobyard_cli.aws import clients as aws
from jobyard_cli.cli import main
from jobyard_cli.sync import run as _loaded  # noqa: F401

KILLED = 86


def serve() -> None:
    """Run what is asked for until the input ends."""
    # Reading AWS's descriptions of its services is most of the time that a client takes; the children inherit it.
    boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    for line in sys.stdin:
        started = [_start(run) for run in json.loads(line)]
        print(json.dumps([_ended(*one) for one in started]), flush=True)


def _start(run: dict[str, Any]) -> tuple[int, Path]:
    folder = Path(tempfile.mkdtemp(dir=run["folder"]))
    pid = os.fork()
    if not pid:
        try:
            _command(run, folder)
        finally:
            os._exit(99)
    return pid, folder


def _ended(pid: int, folder: Path) -> dict[str, Any]:
    _, status = os.waitpid(pid, 0)
    out, err = (folder / name for name in ("out", "err"))
    return {"code": os.waitstatus_to_exitcode(status), "out": out.read_text(), "err": err.read_text()}


def _command(run: dict[str, Any], folder: Path) -> None:
    for number, name in ((0, os.devnull), (1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_RDWR | os.O_CREAT), number)
    os.chdir(run["repo"])
    for name in [name for name in os.environ if name.startswith(("AWS_", "JOBYARD_", "GIT"))]:
        del os.environ[name]
    os.environ.update(run["environment"])
    # A pause between two tries is as long as it is by default only where that is what is looked at.
    botocore.retries.standard.ExponentialBackoff.delay_amount = lambda *_: 0.01  # type: ignore[method-assign]
    aws._READ_SECONDS = run["read_seconds"]
    if run["skew"]:
        _wrong_clock(run["skew"])
    if run["die"]:
        _die(*run["die"])
    sys.argv = ["jobyard", *run["arguments"]]
    try:
        main.run()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


def _wrong_clock(seconds: float) -> None:
    clock: Any = botocore.auth
    right = clock.get_current_datetime
    clock.get_current_datetime = lambda *arguments, **more: right(*arguments, **more) + timedelta(seconds=seconds)


def _die(when: str, number: int) -> None:
    """End the process before its request of that number (from 1) is sent, or after it was answered."""
    count = 0

    def counting(send: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            mine = count == number
            if mine and when == "before":
                os._exit(KILLED)
            answer = send(*arguments, **more)
            if mine:
                os._exit(KILLED)
            return answer

        return counted

    botocore.httpsession.URLLib3Session.send = counting(botocore.httpsession.URLLib3Session.send)  # type: ignore[method-assign]
    requests.Session.send = counting(requests.Session.send)  # type: ignore[method-assign]


if __name__ == "__main__":
    serve()
