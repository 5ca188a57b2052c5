"""The one exception of this job: what ends it, in words for the person who reads the task's log."""

from __future__ import annotations


class IngestionError(Exception):
    """The job can't go on; the message is one line, and all a person needs."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
