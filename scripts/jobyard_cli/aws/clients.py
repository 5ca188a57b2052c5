"""Clients of AWS, which try again for a while and then give up."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from jobyard_cli.errors import JobyardError

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 6
"""With pauses that double and are random, so that many who were refused at once don't come again at once."""
_CONNECT_SECONDS, _READ_SECONDS = 5, 20


class AwsClientError(JobyardError):
    """What the machine says of AWS can't be used."""


def s3(endpoint_url: str | None = None, region: str | None = None) -> S3Client:
    """Return a client for S3, or for the server at that address.

    Raises:
        AwsClientError: the profile, the region or the address can't be used.
    """
    client: S3Client = _client("s3", endpoint_url=endpoint_url, region_name=region)
    return client


def hasty_s3(endpoint_url: str | None, region: str | None, seconds: float) -> S3Client:
    """Return a client for S3 that asks once, and waits this long at most to connect, and for each part of the answer.

    Raises:
        AwsClientError: the profile, the region or the address can't be used.
    """
    config = _config(attempts=1, connect=seconds, read=seconds)
    client: S3Client = _client("s3", config, endpoint_url=endpoint_url, region_name=region)
    return client


def ssm(region: str | None = None) -> Any:
    """Return a client for the Parameter Store.

    Raises:
        AwsClientError: the profile or the region can't be used.
    """
    return _client("ssm", region_name=region)


def mwaa(region: str | None = None) -> Any:
    """Return a client for MWAA, which sends each call once, as some start runs; `AirflowClient` repeats the others.

    Raises:
        AwsClientError: the profile or the region can't be used.
    """
    from botocore.config import Config

    once: Any = {"mode": "standard", "total_max_attempts": 1}
    return _client("mwaa", _config().merge(Config(retries=once)), region_name=region)


def ecr(region: str | None = None) -> Any:
    """Return a client for ECR.

    Raises:
        AwsClientError: the profile or the region can't be used.
    """
    return _client("ecr", region_name=region)


def prepare_s3() -> None:
    """Load what a client for S3 needs, so that making one is quick; this looks for no credentials."""
    from botocore import UNSIGNED
    from botocore.config import Config

    with suppress(AwsClientError):
        _client("s3", _config().merge(Config(signature_version=UNSIGNED)), region_name="us-east-1")


def _client(service: Any, config: Config | None = None, **arguments: Any) -> Any:
    # boto3 makes the same client of it, and takes half as long again for what nothing here uses.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        session = Session()
        session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
        return session.create_client(service, config=config or _config(), **arguments)
    except (BotoCoreError, ValueError) as error:
        raise AwsClientError(f"no client for AWS's {service}: {error}") from error


@cache
def _loader(folders: str | None) -> Loader:
    """Return what reads AWS's descriptions of its services, and keeps those that it has read for the next client."""
    from botocore.loaders import create_loader

    return create_loader(folders)


def _config(attempts: int = ATTEMPTS, connect: float = _CONNECT_SECONDS, read: float = _READ_SECONDS) -> Config:
    from botocore.config import Config

    # botocore's own variable would lose against the argument.
    total = int(os.environ.get("AWS_MAX_ATTEMPTS", attempts))
    retries: Any = {"mode": "standard", "total_max_attempts": total}
    return Config(connect_timeout=connect, read_timeout=read, retries=retries)
