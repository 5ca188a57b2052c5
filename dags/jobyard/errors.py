"""The one family of exceptions of this library: each says what is wrong and what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from jobyard.limits import REASON
from jobyard.rules import shown, storable
from jobyard.task_errors import AirflowException, AirflowFailException


class JobyardError(AirflowException):
    """Root of the family. A task that raises it is retried as its `retries` say, unless the class says otherwise."""


class FinalError(JobyardError, AirflowFailException):
    """Trying again would end the same way, so Airflow fails the task at once."""


class ReleaseError(FinalError):
    """A file of the release or of the platform cannot be used; no DAG can be built from it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        # Airflow stores the message.
        super().__init__(f"{path.parent.name}/{path.name}: {storable(reason, REASON)}")


class NewerSchemaError(ReleaseError):
    """The file was written by a newer Jobyard than the one that reads it."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            path,
            f"schema_version {shown(found)} is newer than {known}, the newest this environment's dags/jobyard knows;"
            " publish the platform's dags/jobyard first",
        )


class JobError(FinalError):
    """One job of a release cannot be built. It never hides the others."""


class UnfitJobError(JobError):
    """A job's entry is not as the compiler writes it."""

    def __init__(self, entry: object, reason: str) -> None:
        self.entry = entry
        super().__init__(reason)


class UnknownNameError(JobError):
    """A name does not exist; the message suggests the nearest and lists those that do."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = sorted(known)
        super().__init__(f"unknown {what} {name!r} ({suggest(name, self.known)})")


class ImageError(FinalError):
    """The image's URL cannot be looked up."""

    def __init__(self, variable: str, image: str, reason: str) -> None:
        self.variable = variable
        self.image = image
        super().__init__(f"image {image!r}: Airflow Variable {variable!r}: {reason}")


class PlainDataError(FinalError):
    """A value is not plain data, or too large or too deep for it."""


class ImageSourceError(JobError):
    """The image's URL names a registry from which the environment does not accept images."""

    def __init__(self, image: str, registries: Iterable[str]) -> None:
        self.image = image
        self.registries = list(registries)
        known = ", ".join(self.registries) or "the environment's file lists none"
        super().__init__(f"image {image!r} must come from a registry of this environment: {known}")


class OutputError(FinalError):
    """A task's output, which another task needs, is missing or not JSON."""


class IntervalError(FinalError):
    """The data interval in an asset's event is not a pair of timestamps."""


class TemplateError(FinalError):
    """A template exceeds a limit, or uses what templates of jobs may not use."""


class GateError(FinalError):
    """A gate can't be evaluated: the output lacks the value, or the value is not a number."""


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


class PodQueueTimedOutError(JobyardError):
    """The team's quota had no room for the pod within the task's queue_timeout."""


class PodFailedError(JobyardError):
    """The pod's container ended with an error, or ran out of memory."""


class PodTimedOutError(JobyardError):
    """The pod's container ran for longer than the task's timeout."""


class PodLostError(JobyardError):
    """One machine after the other took the try's pods, more often than the environment replaces them."""


class PodInterruptedError(JobyardError):
    """Airflow deleted the pod before it had succeeded."""


def suggest(name: str, known: list[str]) -> str:
    """Return `did you mean 'b'? available: a, b`, or only the part that applies."""
    if not known:
        return "none available"
    available = f"available: {', '.join(known)}"
    for closest in get_close_matches(name, known, n=1):
        return f"did you mean {closest!r}? {available}"
    return available
