"""What goes wrong with AWS, or with a bucket of another server: one wording, with the address and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from jobyard_cli.errors import JobyardError, UnavailableError

_NEW_KEY = "get new credentials (`aws sso login`, or start the pipeline's job again) and run this again"
_WRONG_KEY = "these credentials belong to another account: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_BUSY = "the server is busy; the current content is intact: run this again later"
_REGION = "the bucket is in another region: check `region` in the environment's file, or AWS_REGION"
_HINTS = {
    "ExpiredToken": _NEW_KEY,
    "ExpiredTokenException": _NEW_KEY,
    "TokenRefreshRequired": _NEW_KEY,
    "InvalidToken": _NEW_KEY,
    "InvalidAccessKeyId": _WRONG_KEY,
    "InvalidClientTokenId": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_KEY,
    "UnrecognizedClientException": _WRONG_KEY,
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it (timedatectl set-ntp true) and run this again",
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "RequestTimeout": _BUSY,
    "503": _BUSY,
    "500": _BUSY,
}
"""By the name that AWS has for a refusal of any of its services: what to do."""
BUCKET_HINTS = {
    "AccessDenied": (
        "the role needs s3:GetObject and s3:PutObject on it, and s3:ListBucket on the bucket, "
        "without which S3 does not say that an object is missing"
    ),
    "NoSuchBucket": "check `bucket` in the environment's file, or --bucket",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
}
"""Likewise for what only a bucket's server says."""
CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
"""What S3 says where an object is no longer the one that a write's condition names."""
_PASSING = (
    "InternalError",
    "InternalServerError",
    "InternalServerException",
    "RequestTimeout",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "429",
    "500",
    "502",
    "503",
    "504",
)
_NO_KEY = (
    "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run this with "
    "the pipeline's role"
)


class StoreError(JobyardError):
    """The bucket did not take what was to be put, or can't be read; run again, it goes on where it ended."""


class StoreBusyError(StoreError, UnavailableError):
    """Likewise, where a later try may well get another answer."""


@contextmanager
def store_errors(address: str) -> Iterator[str]:
    """Yield the address of something in a bucket; an error inside begins with it.

    Raises:
        StoreError: the server refused.
        StoreBusyError: it did not answer, or not now.
    """
    with refused(address, StoreError, StoreBusyError, BUCKET_HINTS):
        yield address


@contextmanager
def refused(
    address: str,
    failed: Callable[[str], JobyardError],
    busy: Callable[[str], JobyardError] | None = None,
    hints: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[None]:
    """Turn an error of AWS inside into a JobyardError that begins with the address.

    Raises:
        JobyardError: what `failed` makes of the text, or `busy` where a later try may well get another answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        make = busy if busy and may_pass(error) else failed
        raise make(f"{address}: {explain(error, hints)}") from error


def explain(error: Exception, hints: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what AWS refused, or what prevented an answer, and what to do about it.

    `hints` are by the name that AWS has for the refusal, and go before those that fit every service.
    """
    from botocore import exceptions

    match error:
        case exceptions.ClientError():
            reason = str(error.response.get("Error", {}).get("Message") or "no reason given")
            hint = hints.get(code(error)) or _HINTS.get(code(error))
            return f"{code(error)}: {reason} ({hint})" if hint else f"{code(error)}: {reason}"
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return _NO_KEY
        case exceptions.HTTPClientError():
            return f"{error}; the current content is intact: run this again"
        case _:
            return str(error)


def may_pass(error: Exception) -> bool:
    """Return whether a later try may succeed: the service is busy, or a connection broke or failed."""
    from botocore import exceptions as known

    return code(error) in _PASSING or isinstance(
        error,
        known.HTTPClientError | known.ConnectionError | known.IncompleteReadError | known.MetadataRetrievalError,
    )


def code(error: Exception) -> str:
    """Return AWS's code of an error."""
    # A connection that broke has a response, too, which is None.
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
