"""What goes wrong with AWS, or a bucket of another server, told with the address and with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobyard_cli.errors import JobyardError, UnavailableError

_NEW_KEY = "get new credentials (`aws sso login`, or start the pipeline's job again) and run this again"
_WRONG_KEY = "these are not the credentials of this account: look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_BUSY = "the server is busy; what is there is whole: run this again later"
_REGION = "the bucket is in another region: look at `region` in the environment's file, or at AWS_REGION"
_HINTS = {
    "ExpiredToken": _NEW_KEY,
    "ExpiredTokenException": _NEW_KEY,
    "TokenRefreshRequired": _NEW_KEY,
    "InvalidToken": _NEW_KEY,
    "InvalidAccessKeyId": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_KEY,
    "AccessDenied": (
        "the role needs s3:GetObject and s3:PutObject on it, and s3:ListBucket on the bucket, "
        "without which S3 refuses to say that nothing is there yet"
    ),
    "NoSuchBucket": "look at `bucket` in the environment's file, or at --bucket",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it (timedatectl set-ntp true) and run this again",
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "RequestTimeout": _BUSY,
    "503": _BUSY,
    "500": _BUSY,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
}
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
def told(address: str) -> Iterator[str]:
    """The address; what goes wrong with it inside is told with it.

    Raises:
        StoreError: the server refused.
        StoreBusyError: it did not answer, or not now.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield address
    except ClientError as error:
        kind = StoreBusyError if is_busy(code(error)) else StoreError
        raise kind(f"{address}: {_refusal(error)}") from error
    except BotoCoreError as error:
        kind = StoreBusyError if is_passing(error) else StoreError
        raise kind(f"{address}: {failure(error)}") from error


def is_busy(code: str) -> bool:
    """Whether AWS's name for what is wrong says that a later try may well get another answer."""
    return code in _PASSING


def is_passing(error: Exception) -> bool:
    """Whether a request got no answer for a reason that may pass: a time-out, a connection that broke or failed."""
    from botocore import exceptions as known

    return isinstance(
        error,
        known.HTTPClientError | known.ConnectionError | known.IncompleteReadError | known.MetadataRetrievalError,
    )


def code(error: Exception) -> str:
    """S3's name for what is wrong."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _refusal(error: Exception) -> str:
    problem = getattr(error, "response", {}).get("Error", {})
    said = f"{problem.get('Code')}: {problem.get('Message') or 'no reason given'}"
    hint = _HINTS.get(str(problem.get("Code")))
    return f"{said} ({hint})" if hint else said


def failure(error: Exception) -> str:
    """What keeps a request from an answer, and what to do."""
    from botocore import exceptions

    match error:
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return _NO_KEY
        case exceptions.HTTPClientError():
            return f"{error}; what is there is whole: run this again"
        case _:
            return str(error)
