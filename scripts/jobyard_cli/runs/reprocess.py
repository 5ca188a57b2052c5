"""What a backfill does with days that have a run already."""

from __future__ import annotations

from enum import StrEnum


class Reprocess(StrEnum):
    """Which of them are run again: none, those that failed, or all that have ended."""

    none = "none"
    failed = "failed"
    completed = "completed"
