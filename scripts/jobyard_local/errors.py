"""What can go wrong with the local platform, each said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from jobyard_cli.check.findings import did_you_mean
from jobyard_cli.errors import JobyardError
from jobyard_cli.system.errors import tail


class LocalPlatformError(JobyardError):
    """The local platform can't do what was asked."""


class UnsupportedError(LocalPlatformError):
    """This machine can't run the local platform."""


class ProcessDiedError(LocalPlatformError):
    """A process of the platform ended while it was starting."""

    def __init__(self, name: str, log: Path) -> None:
        super().__init__(f"{name} ended while starting; the end of {log}:\n{tail(_read(log))}")


class ProcessNotReadyError(LocalPlatformError):
    """A process of the platform runs but does not answer."""

    def __init__(self, name: str, seconds: float, log: Path) -> None:
        super().__init__(f"{name} did not answer within {seconds:.0f} s; the end of {log}:\n{tail(_read(log))}")


class NotMeasuredError(LocalPlatformError):
    """The platform collects no metrics."""

    def __init__(self) -> None:
        super().__init__("a local platform on an existing cluster has no Prometheus, so it collects no metrics")


class NotRunningError(LocalPlatformError):
    """A command needs a running platform, and none runs."""

    def __init__(self, name: str = "local", ended: Sequence[str] = ()) -> None:
        """`ended` are processes of it that do not run, where others do."""
        option = "" if name == "local" else f" --name {name}"
        state = f"not complete, as {', '.join(ended)} ended" if ended else "not running"
        super().__init__(f"the local platform is {state}; start it with `jobyard local up{option}`")


class TeamRefusedError(LocalPlatformError):
    """A team can't be put on the platform as it is; the message has every problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join([*problems, "nothing was pushed"]))


class UnknownTeamError(LocalPlatformError):
    """The platform has no team of this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        hint = did_you_mean(name, known) or f"it has {', '.join(known) or 'no team'}"
        super().__init__(f"the local platform has no team '{name}' ({hint})")


class PlatformBusyError(LocalPlatformError):
    """Another command is starting, stopping or using the platform."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another jobyard command uses the platform '{name}'; wait for it to end, or stop it")


class TookTooLongError(LocalPlatformError):
    """Something the platform waits for did not happen in time."""

    def __init__(self, what: str, seconds: float, last: str) -> None:
        super().__init__(f"{what} did not happen within {seconds:.0f} s; last seen: {last}")

    @classmethod
    def of(cls, what: str, seconds: float) -> Callable[[str], TookTooLongError]:
        """Return a function that makes the error from what was last seen, for `until`."""
        return lambda last: cls(what, seconds, last)


def _read(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""
