"""The file that is a team's release: what it says, with its bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from jobyard.entries import Release


@dataclass(frozen=True)
class ReleaseFile:
    """A release and its bytes, which are made, or parsed, once."""

    content: Release
    body: bytes


def dumped(value: object) -> bytes:
    """JSON, in the one form that a release and the digests have."""
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


NO_RELEASE = (ValueError, KeyError, TypeError, AttributeError)
"""What using a file raises that is no release: a bucket holds whatever was put there."""


def parsed(body: bytes) -> ReleaseFile:
    """The release that an environment's bucket has, which an earlier version may have compiled.

    Raises:
        NO_RELEASE: it is no JSON object with jobs.
    """
    content: Release = json.loads(body)
    content["jobs"].values()
    return ReleaseFile(content, body)


def job_digests(body: bytes) -> dict[str, str]:
    """Job to digest; nothing of what is no release."""
    try:
        return {str(name): str(job.get("digest")) for name, job in parsed(body).content["jobs"].items()}
    except NO_RELEASE:
        return {}
