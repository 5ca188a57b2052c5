"""What a task leaves for those after it: a JSON value that its container writes to `/airflow/xcom/return.json`.

That is the path of Airflow's own convention, but no sidecar reads it: it is the container's termination message, which
the kubelet puts into the pod's status
(https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/). So there is no second image
to pull, nothing that waits for a sidecar, and Airflow needs no right to run commands in pods.
"""

from collections.abc import Mapping
from typing import Any

from jobyard.compat import MappedOperator, PlainXComArg
from jobyard.errors import OutputError, PlainDataError
from jobyard.output_values import Condition
from jobyard.plain import decode, encode

# In Airflow's table of XComs an output is a text under this key. What is under Airflow's own key, `return_value`, only
# tells it how many instances of a `foreach` to make; nothing of ours reads it.
KEY = "jobyard_output"


def push_output(context: Mapping[str, Any], value: object) -> object:
    """Keep what the task of the context leaves; return what Airflow is to count for a `foreach`."""
    context["ti"].xcom_push(key=KEY, value=encode(value))
    return list(range(len(value))) if isinstance(value, list) else True


def pull_output(context: Mapping[str, Any], task: str) -> Any:
    """Return the output of another task of this run; of a task with several instances, the list of theirs.

    Raises:
        OutputError: the task left no output, or its XCom is not what `push_output` writes.
    """
    upstream = context["dag"].get_task(task)
    # With a list of tasks, every version returns a list of all instances' values.
    texts = [text for text in context["ti"].xcom_pull(task_ids=[task], key=KEY) if text is not None]
    try:
        outputs = [decode(text) for text in texts]
    except PlainDataError as error:
        raise OutputError(f"the output of task {task!r} {error}") from error
    if isinstance(upstream, MappedOperator):
        return outputs
    if not outputs:
        raise OutputError(
            f"task {task!r} has left no output; where an older version of the library ran it, clear it to run it again"
        )
    return outputs[0]


class Items(PlainXComArg):
    """The list of a `foreach` that another task leaves.

    To Airflow's scheduler it is what it inherits from: the length of the other task's `return_value`.
    """

    def resolve(self, context: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Return the list.

        Raises:
            OutputError: the task left no output, or it is not a list.
        """
        output = pull_output(context, self.operator.task_id)
        if not isinstance(output, list):
            raise OutputError(
                f"the output of task {self.operator.task_id!r} must be a list, as a foreach uses it; got {output!r:.80}"
            )
        return output


class Gate(Condition):
    """A condition on the output of another task; the task behind it is skipped where it does not hold."""

    def holds(self, context: Mapping[str, Any]) -> tuple[bool, str]:
        """Return whether the condition holds, and what was compared, in words.

        Raises:
            OutputError: the other task left no output.
            GateError: the output lacks the value, or it can't be compared.
        """
        return self.judge(pull_output(context, self.task))
