"""The client of the local platform's S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobyard_local.layout import Layout
from jobyard_local.services import Credentials, s3_client


def test_threads_share_one_for_each_server_and_key() -> None:
    layout = Layout(Path("state"), Path("tools"), {"s3": 17070}, "127.0.0.1")
    first, second = Credentials("first", "secret"), Credentials("second", "secret")
    assert s3_client(layout, first) is not s3_client(layout, second)
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _number: s3_client(layout, first), range(8)))
    assert made == {s3_client(layout, first)}
