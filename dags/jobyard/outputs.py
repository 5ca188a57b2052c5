"""What a task leaves for those after it: a JSON value that its container writes to `/airflow/xcom/return.json`.

That is the path of Airflow's own convention, but no sidecar reads it: it is the container's termination message, which
the kubelet puts into the pod's status
(https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/). So there is no second image
to pull, nothing that waits for a sidecar, and Airflow needs no right to run commands in pods.
"""

from collections.abc import Mapping
from typing import Any

from jobyard.compat import MappedOperator, PlainXComArg
from jobyard.contract import GATE_TESTS, OUTPUT_BYTES, OUTPUT_PATH
from jobyard.errors import GateError, OutputError, PlainDataError
from jobyard.plain import decode, encode

# In Airflow's table of XComs an output is a text under this key. What is under Airflow's own key, `return_value`, only
# tells it how many instances of a `foreach` to make; nothing of ours reads it.
KEY = "jobyard_output"


def read_output(text: str | None) -> object:
    """Return the JSON value that a pod's container left as `text`.

    Any but null, which Airflow does not tell from no output at all.

    Raises:
        OutputError: the output is missing, null, too long or not JSON.
    """
    if not text:
        raise OutputError(f"the container wrote nothing to {OUTPUT_PATH}, and another task needs its output")
    value = _parsed(text)
    if value is None:
        raise OutputError(f"the output in {OUTPUT_PATH} must not be null, as another task needs a value")
    return value


def read_unneeded(text: str | None) -> object:
    """Return the JSON value that a pod's container left as `text`, for no other task; None if it left nothing.

    Raises:
        OutputError: the output is too long or not JSON.
    """
    return _parsed(text) if text else None


def _parsed(text: str) -> object:
    if len(text.encode()) >= OUTPUT_BYTES:
        raise OutputError(
            f"the output in {OUTPUT_PATH} must be smaller than {OUTPUT_BYTES} bytes; store larger data in S3"
        )
    try:
        return decode(text)
    except PlainDataError as error:
        raise OutputError(f"the output in {OUTPUT_PATH} {error}") from error


def read_list(text: str | None) -> object:
    """Return the list that a pod's container left as `text`, for a `foreach`.

    Raises:
        OutputError: see `read_output`; or the output is not a list.
    """
    value = read_output(text)
    # Airflow would try the task again, and of an object make an instance for each key.
    if not isinstance(value, list):
        raise OutputError(f"the output in {OUTPUT_PATH} must be a list, as a foreach uses it; got {value!r:.80}")
    return value


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


class Gate:
    """A condition on the output of another task; the task behind it is skipped where it does not hold."""

    def __init__(self, task: str, value: str | None, test: str, bound: object) -> None:
        """`value` is the dotted path of the figure in the output; None stands for the output itself."""
        if test not in GATE_TESTS:
            raise GateError(f"unknown test {test!r} of a gate; available: {', '.join(GATE_TESTS)}")
        if test != "equals" and not _is_number(bound):
            raise GateError(f"gate on {task!r}: '{test}' must be a number; got {bound!r}")
        self.task = task
        self.value = value
        self.test = test
        self.bound = bound

    def holds(self, context: Mapping[str, Any]) -> tuple[bool, str]:
        """Return whether the condition holds, and what was compared, in words.

        Raises:
            OutputError: the other task left no output.
            GateError: the output lacks the value, or it can't be compared.
        """
        figure = self._figure(pull_output(context, self.task))
        name = f"{self.task}.{self.value}" if self.value else self.task
        words = f"{name} is {figure!r}, wanted: {self.test.replace('_', ' ')} {self.bound!r}"
        if self.test != "equals" and not _is_number(figure):
            raise GateError(f"{words}; the value must be a number")
        return TESTS[self.test](figure, self.bound), words

    def _figure(self, output: Any) -> Any:
        if not self.value:
            return output
        for step in self.value.split("."):
            if not isinstance(output, dict) or step not in output:
                content = ", ".join(sorted(map(str, output))) if isinstance(output, dict) else repr(output)
                raise GateError(f"no {self.value!r} in the output of task {self.task!r}; there is: {content}")
            output = output[step]
        return output


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TESTS: dict[str, Any] = {
    "above": lambda figure, bound: figure > bound,
    "at_least": lambda figure, bound: figure >= bound,
    "below": lambda figure, bound: figure < bound,
    "at_most": lambda figure, bound: figure <= bound,
    # In Python, and not in JSON, 1 is true.
    "equals": lambda figure, bound: isinstance(figure, bool) is isinstance(bound, bool) and figure == bound,
}
