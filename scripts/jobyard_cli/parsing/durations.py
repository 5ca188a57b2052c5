"""Durations such as `90s`, `5m`, `2h` and `1d`, and sums of them such as `1h30m`."""

from __future__ import annotations

import re
from functools import lru_cache

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = re.compile(r"(\d+)([dhms])")


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> int:
    """Return the duration in seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    if not re.fullmatch(r"(\d+[dhms])+", text):
        raise ValueError(f"a duration must be 90s, 5m, 2h, 1d or a sum such as 1h30m; got {text!r}")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def duration_text(seconds: int) -> str:
    """Return a duration in seconds as text in the largest units: `1h30m`; zero is `0s`."""
    parts = []
    for unit, factor in _SECONDS.items():
        number, seconds = divmod(seconds, factor)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
