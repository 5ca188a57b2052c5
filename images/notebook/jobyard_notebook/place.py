"""Where the executed notebook goes: an object of S3, or a file; and the folders that Jupyter writes to meanwhile."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from jobyard_notebook.errors import StoreError

S3 = "s3://"
SUFFIX = ".ipynb"
CONSOLE = "https://console.aws.amazon.com/s3/object/"
OTHER_SERVER = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables that lead boto3 to an S3 server that AWS's console knows nothing of."""
OWN = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
}
"""Variables of the folders that Jupyter and IPython write to. A person's own settings and kernels would be in them."""
AT_HOME = {"HOME": "home", "MPLCONFIGDIR": "matplotlib"}
"""The same, of the rest. A pod's user has no home; a person's has the credentials for S3."""


def check(address: str) -> None:
    """Make sure that a notebook may be kept at an address.

    Raises:
        StoreError: it is neither an object's nor a file's, or not a notebook's.
    """
    bucket, _, key = address.removeprefix(S3).partition("/")
    is_object = address.startswith(S3) and bool(bucket) and bool(key)
    if not address.endswith(SUFFIX) or not (is_object or "://" not in address):
        raise StoreError(f"--to must be an address such as s3://bucket/notebooks/team/run{SUFFIX}; got '{address}'")


def shown(address: str) -> str:
    """Return what leads a person to the notebook: the page of AWS's console, or the address where it has none.

    The page asks for a login and has only what the person may read; a signed link would open it to the log's readers.
    """
    if not address.startswith(S3) or any(os.environ.get(name) for name in OTHER_SERVER):
        return address
    bucket, _, key = address.removeprefix(S3).partition("/")
    return f"{CONSOLE}{bucket}?prefix={quote(key, safe='/')}"


class Objects:
    """Writes papermill's notebooks to S3, with PutObject alone: its own writer also needs the right PutObjectAcl."""

    @staticmethod
    def write(content: str, address: str) -> None:
        """Put the notebook.

        Raises:
            StoreError: S3 refuses, or can't be reached.
        """
        bucket, _, key = address.removeprefix(S3).partition("/")
        try:
            _client().put_object(Bucket=bucket, Key=key, Body=content.encode(), ContentType="application/x-ipynb+json")
        except (ClientError, BotoCoreError) as error:
            raise StoreError(f"can't write the executed notebook to {address}: {error}") from error

    @staticmethod
    def pretty_path(address: str) -> str:
        """Return the address as papermill shows it."""
        return address


def folders(temporary: Path) -> dict[str, str]:
    """Make the folders that a kernel writes to, and return their variables."""
    names = OWN if os.access(Path.home(), os.W_OK) else {**OWN, **AT_HOME}
    made = {}
    for variable, name in names.items():
        folder = temporary / name
        folder.mkdir(parents=True, exist_ok=True)
        made[variable] = str(folder)
    return made


@functools.cache
def _client() -> Any:
    # One for all, as the notebook is written before and after each cell.
    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 5}))
