"""The copier of the stories: what a test has happen before a release is copied happens before it, always."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from jobyard_local.bucket_copy import copy_once

from tests.sync.real_airflow import Copier
from tests.sync.servers import KEY, Server


def test_what_happens_before_the_next_release_is_copied_happens_before_it(server: Server, tmp_path: Path) -> None:
    """A round of copying has begun, and has not yet listed the bucket, as the release is put."""
    bucket, dags = server.bucket(), tmp_path / "dags"
    server.client.put_object(Bucket=bucket, Key=KEY, Body=b"old")
    copied = dags / KEY.removeprefix("dags/")
    begun, may_list = threading.Event(), threading.Event()

    def slow_once(*arguments: Any) -> dict[str, str]:
        begun.set()
        may_list.wait()
        return copy_once(*arguments)

    copier = Copier(server.client, bucket, dags, slow_once)
    copier.start()
    seen: list[bytes] = []
    begun.wait()
    threading.Timer(0.5, may_list.set).start()
    with copier.before_next(lambda: seen.append(copied.read_bytes())):
        server.client.put_object(Bucket=bucket, Key=KEY, Body=b"new")
        while not (seen and copied.read_bytes() == b"new"):
            assert copier.is_alive()
            time.sleep(0.05)
    copier.close()
    assert seen == [b"old"]
