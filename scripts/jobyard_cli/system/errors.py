"""What can go wrong with another program."""

from __future__ import annotations

from jobyard_cli.errors import JobyardError, UnavailableError


class ProgramError(JobyardError):
    """A program that Jobyard called ended with an error."""

    def __init__(self, what: str, output: str) -> None:
        super().__init__(f"{what} failed:\n{tail(output)}")
        self.output = output


class UnansweredError(ProgramError, UnavailableError):
    """Likewise, as the server that it asked did not answer, or not now."""


def tail(text: str, lines: int = 15) -> str:
    """Return the last lines, indented to go into a message."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])
