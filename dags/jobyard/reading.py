"""Reading JSON that anybody may have written, at a cost that its size bounds."""

import json
from typing import Any

from jobyard import limits


def parse(content: bytes) -> Any:
    """Return what a release, or another of the platform's files, says in JSON.

    Raises:
        ValueError: it is too large, or not JSON in UTF-8.
    """
    check_size(content)
    try:
        # Decoded here, as json takes halves of surrogate pairs for UTF-8.
        return json.loads(content.decode())
    except RecursionError:
        raise ValueError("lists or objects are nested too deep") from None


def check_size(content: bytes) -> None:
    """Check that a file is no larger than what is read.

    Raises:
        ValueError: it has too many bytes, or too many lists and objects.
    """
    if len(content) > limits.RELEASE_BYTES:
        raise ValueError(f"it has more than {limits.RELEASE_BYTES:,} bytes")
    brackets = content.count(b"[") + content.count(b"{")
    if brackets > limits.RELEASE_BRACKETS:
        raise ValueError(f"it has {brackets:,} lists and objects, more than {limits.RELEASE_BRACKETS:,}")
