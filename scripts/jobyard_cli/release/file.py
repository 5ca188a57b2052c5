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
    """Return JSON, in the one form that a release and the digests have."""
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


NO_RELEASE = (ValueError, KeyError, TypeError, AttributeError)
"""What using a file that is not a release raises: a bucket may hold anything."""


def parsed(body: bytes) -> ReleaseFile:
    """Return the release in an environment's bucket, which an earlier version may have compiled.

    Raises:
        NO_RELEASE: it is not a JSON object with jobs.
    """
    content: Release = json.loads(body)
    content["jobs"].values()
    return ReleaseFile(content, body)


def job_digests(body: bytes) -> dict[str, str]:
    """Return each job's digest; nothing if the content is not a release."""
    try:
        return {str(name): str(job.get("digest")) for name, job in parsed(body).content["jobs"].items()}
    except NO_RELEASE:
        return {}
