"""The one family of exceptions that Jobyard raises for a person's mistake or a service's refusal."""

from __future__ import annotations


class JobyardError(Exception):
    """Base of every error that a person is meant to read; its text is the whole message."""


class UnavailableError(JobyardError):
    """A service did not answer, or not now: whoever may repeat what he asked does, until his deadline."""
