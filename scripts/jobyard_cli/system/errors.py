"""What can go wrong with another program."""

from __future__ import annotations

from jobyard_cli.errors import JobyardError, UnavailableError


class ProgramError(JobyardError):
    """A program that Jobyard ran ended with an error."""

    def __init__(self, what: str, output: str) -> None:
        super().__init__(f"{what} failed:\n{tail(output)}")
        self.output = output


class ProgramNotFoundError(ProgramError):
    """A program is not installed."""

    def __init__(self, program: str) -> None:
        JobyardError.__init__(self, f"`{program}` is not installed on this machine")
        self.output = ""


class ProgramTimeoutError(ProgramError):
    """A program did not end by its deadline; it was killed with its children."""

    def __init__(self, what: str, seconds: float) -> None:
        JobyardError.__init__(self, f"{what}: no answer within {seconds:g} s")
        self.output = ""


class UnansweredError(ProgramError, UnavailableError):
    """A program ended with an error, as the server that it called did not answer, or not now."""


def tail(text: str, lines: int = 15) -> str:
    """Return the last lines, indented to go into a message."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])
