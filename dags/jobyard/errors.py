"""The one family of exceptions of this library: each says what is wrong and what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from jobyard.compat import AirflowException, AirflowFailException


class JobyardError(AirflowException):
    """Root of the family. As it stands, a task that raises it is tried again as its `retries` say."""


class FinalError(JobyardError, AirflowFailException):
    """Trying again would end the same way, so Airflow fails the task at once."""


class ReleaseError(FinalError):
    """A file of the release or of the platform cannot be used; no DAG can be built from it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path.parent.name}/{path.name}: {reason}")


class NewerSchemaError(ReleaseError):
    """The file was written by a newer Jobyard than the one that reads it."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            path,
            f"schema_version {found} is newer than {known}, the newest this environment's dags/jobyard knows;"
            " publish the platform's dags/jobyard first",
        )


class JobError(FinalError):
    """One job of a release cannot be built. It never hides the others."""


class UnknownNameError(JobError):
    """Something is named that does not exist; the message suggests the nearest and lists what does."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, sorted(known)
        super().__init__(f"unknown {what} {name!r} ({suggest(name, self.known)})")


class ImageError(FinalError):
    """The image's URL cannot be looked up."""

    def __init__(self, variable: str, image: str, reason: str) -> None:
        self.variable, self.image = variable, image
        super().__init__(f"image {image!r}: Airflow Variable {variable!r}: {reason}")


class OutputError(FinalError):
    """A task's output, which another task needs, is not there or not JSON."""


class GateError(FinalError):
    """A gate can't be judged: the output has no such value, or it is no number."""


class VariableError(FinalError):
    """A template asks for an Airflow Variable that is not the team's to read."""


class ConnectionUnusableError(FinalError):
    """A team's Airflow connection is missing, or does not say whose rights it gives."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(f"Airflow connection {name!r}: {reason}")


class PodCannotStartError(FinalError):
    """The pod's container can never start: no such image, no right to pull it, an image that runs as root."""


class PodNotStartedError(JobyardError):
    """The pod did not start in time; another try may find a node, or the registry, in better health."""


class PodInterruptedError(JobyardError):
    """Airflow deleted the pod before it had succeeded."""


def suggest(name: str, known: list[str]) -> str:
    """Return `did you mean 'b'? there are: a, b`, or less where there is less to say."""
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}there are: {', '.join(known)}" if known else "there are none"
