"""Durations as a person writes them: `90s`, `5m`, `2h`, `1d`, and sums such as `1h30m`."""

from __future__ import annotations

import re

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = re.compile(r"(\d+)([dhms])")


def parse_duration(text: str) -> int:
    """Whole seconds.

    Raises:
        ValueError: the text is no duration.
    """
    if not re.fullmatch(r"(\d+[dhms])+", text):
        raise ValueError(f"{text!r} is no duration; write 90s, 5m, 2h, 1d or a sum such as 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def duration_text(seconds: int) -> str:
    """The same, of whole seconds, in the largest units: `1h30m`; nothing at all is `0s`."""
    parts = []
    for unit, factor in _SECONDS.items():
        number, seconds = divmod(seconds, factor)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
