"""Objects that S3 refuses instead of calling them missing, as it does where a caller may list some prefixes alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from jobyard_metrics.errors import StoreError
from jobyard_metrics.objects import S3Store

LIST = {"Bucket": "data", "Prefix": "metrics/days/2026-11-25.json"}
GET = {"Bucket": "data", "Key": "metrics/days/2026-11-25.json"}


def answer(listed: list[dict[str, Any]] | None) -> object:
    """What the store says of an object that S3 refuses, given its list; None stands for a list that is refused."""
    client = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403, expected_params=GET)
        if listed is None:
            stub.add_client_error("list_objects_v2", "AccessDenied", http_status_code=403, expected_params=LIST)
        else:
            stub.add_response("list_objects_v2", {"Contents": listed, "IsTruncated": False}, LIST)
        return S3Store(client, "data", "metrics").get("days/2026-11-25.json")


def test_one_that_is_not_listed_is_missing() -> None:
    assert answer([]) is None


@pytest.mark.parametrize("listed", [None, [{"Key": GET["Key"], "LastModified": datetime(2026, 11, 26, tzinfo=UTC)}]])
def test_any_other_is_refused(listed: list[dict[str, Any]] | None) -> None:
    with pytest.raises(StoreError, match="AccessDenied"):
        answer(listed)
