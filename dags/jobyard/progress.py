"""How far one try of a task has come: what a worker hands to the next one while the triggerer follows the pod."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jobyard.entries import Resources
from jobyard.following.target import Ending, known

ENDED_CHARACTERS = 150
"""How much of a pod's end is kept: fifteen pods of one try are below the 4,096 characters from which on Airflow cuts a
field (`core.max_templated_field_length`)."""


@dataclass(frozen=True)
class Progress:
    """The pods of one try. In Airflow's database it is a JSON object."""

    image: str | None = None  # of the first pod; a later one runs the same, whatever the Variable says by then
    resources: Resources | None = None  # of the current pod, or of the next one
    growths: int = 0  # pods that have run out of memory, each of which made them more
    lost: int = 0  # pods that Kubernetes or a machine took
    pods: list[dict[str, str]] = field(default_factory=list)  # those before: `name`, and how each `ended`

    @property
    def memory(self) -> str:
        """The memory at which the current pod is killed."""
        amounts = {**self.resources["requests"], **self.resources["limits"]} if self.resources else {}
        return amounts.get("memory", "no limit")

    def with_pod(self, image: str, resources: Resources) -> "Progress":
        """Return it with the image and the resources of the pod that was made."""
        return replace(self, image=image, resources=resources)

    def after_loss(self, pod: str, ending: Ending) -> "Progress":
        """Return it after that pod was lost: the next one is the same."""
        return replace(self, lost=self.lost + 1, pods=[*self.pods, _entry(pod, ending)])

    def with_more_memory(self, pod: str, ending: Ending, resources: Resources) -> "Progress":
        """Return it after that pod ran out of memory: the next one has these resources."""
        return replace(self, resources=resources, growths=self.growths + 1, pods=[*self.pods, _entry(pod, ending)])

    def arguments(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Progress":
        """Return what `arguments` described; what a newer version has added is ignored."""
        return cls(**known(cls, arguments))


def _entry(pod: str, ending: Ending) -> dict[str, str]:
    return {"name": pod, "ended": f"{ending.kind.value}: {ending.message}"[:ENDED_CHARACTERS]}
