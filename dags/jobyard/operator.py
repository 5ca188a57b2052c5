"""One task of a job: one pod, made by a worker and followed by the triggerer or by that worker.

What makes the pod is KubernetesPodOperator. Following it is ours (`following`): what the versions 9.0.1 to 10.21 do
differs, and each loses something: another team's token, a timeout, a log, a pod of a task that was cleared.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import V1Container, V1Pod, V1ResourceRequirements  # type: ignore[import-untyped]

from jobyard.compat import AirflowSkipException, Context, store_rendered_fields
from jobyard.contract import OUTPUT_PATH, POD_REPLACEMENTS
from jobyard.entries import OnOom, Resources
from jobyard.errors import (
    JobyardError,
    OutputError,
    PodCannotStartError,
    PodFailedError,
    PodInterruptedError,
    PodLostError,
    PodNotStartedError,
    PodQueueTimedOutError,
    PodTimedOutError,
)
from jobyard.following.cluster import FAILURES, RequestError
from jobyard.following.here import follow_briefly, follow_here, follow_unless_queued, write_rest
from jobyard.following.target import Ending, Kind, Target, TaskKey
from jobyard.interval import send_data_interval
from jobyard.limits import MEMORY_STEPS
from jobyard.measured import numbers
from jobyard.memory import more_memory
from jobyard.output_values import read_list, read_output, read_unneeded
from jobyard.outputs import Gate, push_output
from jobyard.platform import has_plugin
from jobyard.pod import NEAR_OTHER_TASKS, environment
from jobyard.pods import Pods
from jobyard.progress import Progress

ERRORS: Mapping[Kind, type[JobyardError]] = {
    Kind.FAILED: PodFailedError,
    Kind.OUT_OF_MEMORY: PodFailedError,
    Kind.LOST: PodLostError,
    Kind.TIMED_OUT: PodTimedOutError,
    Kind.NOT_STARTED: PodNotStartedError,
    Kind.QUEUE_TIMED_OUT: PodQueueTimedOutError,
    Kind.CANNOT_START: PodCannotStartError,
}
CLEARED_SECONDS = 15
"""How long the triggerer has to delete the pod of a task that was stopped, before the next try takes it up."""


class JobPodOperator(KubernetesPodOperator):
    """One task of a job: one pod at a time."""

    # An argument that ends in ".json" or ".yaml" is an argument, not the name of a file of templates to read.
    template_ext = ()
    # A job has templates in the first four alone. Airflow stores each field of each task whenever it reads the release,
    # and shows it: the next two are for the people who look, the last three for its REST API's lists, after the task
    # has run.
    template_fields = (
        *("image", "cmds", "arguments", "env_vars"),
        *("container_resources", "node_selector"),
        *("measured", "pod_name", "earlier_pods"),
    )
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        env_vars: Mapping[str, str] | None = None,
        item: object = None,
        gate: Gate | None = None,
        output: bool = False,
        output_is_list: bool = False,
        timeout_seconds: int | None = None,
        queue_timeout_seconds: int | None = None,
        deferred: bool = False,
        deferred_in_queue: bool = False,
        on_oom: OnOom | None = None,
        replacements: int = POD_REPLACEMENTS,
        near_other_tasks: bool = False,
        **arguments: Any,
    ) -> None:
        """Add to the provider's arguments.

        The container's environment, the item of a `foreach`, the gate before the task, what output it has, how many
        seconds its container may run, how many its pod may wait for quota, whether the triggerer is to follow its pod,
        whether it is if the pod waits for quota, how the memory grows, how many lost pods are replaced, whether the pod
        prefers machines that run other tasks.
        """
        super().__init__(env_vars=environment(env_vars or {}), **arguments)
        self.item = item
        self.gate = gate
        self.output_is_list = output_is_list
        self.timeout_seconds = timeout_seconds
        self.queue_timeout_seconds = queue_timeout_seconds
        self.deferred = deferred
        self.deferred_in_queue = deferred_in_queue
        self.on_oom = on_oom
        self.replacements = replacements
        self.near_other_tasks = near_other_tasks
        self.measured: dict[str, float] | None = None
        self.pod_name: str | None = None
        self.earlier_pods: list[dict[str, str]] | None = None
        # To Airflow it means that what `execute` returns is kept; the provider also takes it for "add a sidecar".
        self.do_xcom_push = output

    def execute(self, context: Context) -> object:
        """Run the pod; its own exit decides about success.

        Raises:
            AirflowSkipException: the gate is closed; no pod is made.
            OutputError: the pod succeeded without the output that another task needs.
            JobyardError: one of `ERRORS`; the pod did not succeed.
            PodInterruptedError: Airflow stopped the task (worker shut down, run marked) while the pod ran.
            TaskDeferred: the triggerer follows the pod; `resume` goes on when it has ended.
        """
        self._pass_gate(context)
        return self._stored(context, lambda: self._run(context, Progress()))

    def resume(
        self, context: Context, event: dict[str, Any], target: dict[str, Any], progress: dict[str, Any]
    ) -> object:
        """Go on after the triggerer has followed the pod; raises what `execute` does."""
        return self._stored(
            context, lambda: self._resume(context, Target.of(target), Ending.of(event), Progress.of(progress))
        )

    def _resume(self, context: Context, target: Target, ending: Ending, progress: Progress) -> object:
        self.pod_name = target.pod
        if ending.kind is Kind.UNKNOWN:
            self.log.warning("The triggerer could not follow the pod: %s", ending.message)
            self.pod = self._pods.handle(target.pod)
            ending = self._stopped(follow_here(target, self.log, self._configuration))
        if ending.kind is Kind.BEHIND:
            self.log.info("A worker follows the pod for a while: %s", ending.message)
            self.pod = self._pods.handle(target.pod)
            target = replace(target, log=ending.log)
            ending = self._follow(target, progress)
        return self._go_on(context, target, ending, progress)

    def _run(self, context: Context, progress: Progress) -> object:
        """Make the next pod and follow it; return the task's result."""
        target, progress = self._start(context, progress)
        return self._go_on(context, target, self._follow(target, progress), progress)

    def _go_on(self, context: Context, target: Target, ending: Ending, progress: Progress) -> object:
        """Return the task's result after the pod has ended: what it left, or what the pod after it leaves."""
        self._write_rest(target, ending)
        self._pods.delete(target.pod)
        more = self._next(target, ending, progress)
        return self._run(context, more) if more else self._finish(context, target, ending, progress)

    def _start(self, context: Context, progress: Progress) -> tuple[Target, Progress]:
        """Make the next pod, or take up that of a lost try; return what to follow."""
        request = self._request(context, progress)
        found = None if progress.pods else self._left_over(context)
        # Known before it is made, so that a task that is stopped meanwhile deletes it.
        self.pod = found or request
        made = found or self._pods.create(request)
        self.pod = made or request
        self.pod_name = self.pod.metadata.name
        container = self.pod.spec.containers[0]
        manifest = None if made else self._pods.manifest(request)
        return self._target(context, self.pod, manifest), progress.with_pod(container.image, resources(container))

    def _left_over(self, context: Context) -> V1Pod | None:
        """Return the pod that a lost try left."""
        patience = CLEARED_SECONDS if self.is_deferred() or self.is_deferred_in_queue() else 0
        first_try = first_try_since_cleared(context["ti"], self.retries or 0)
        return self._pods.take_up(self._build_find_pod_label_selector(context), patience, first_try)

    def _request(self, context: Context, progress: Progress) -> V1Pod:
        """Return the pod to make."""
        request = self.build_pod_request_obj(context)
        container = request.spec.containers[0]
        if progress.image:
            container.image = progress.image
        if progress.growths and progress.resources:
            container.resources = V1ResourceRequirements(**progress.resources)
        return request

    def _target(self, context: Context, pod: V1Pod, manifest: dict[str, Any] | None) -> Target:
        instance = context["ti"]
        map_index = -1 if instance.map_index is None else instance.map_index
        return Target(
            kubeconfig=str(self.config_file),
            context=str(self.cluster_context),
            namespace=str(self.namespace),
            environment=self.labels["jobyard.dev/environment"],
            pod=pod.metadata.name,
            uid=pod.metadata.uid or "",
            container=self.base_container_name,
            timeout=self.timeout_seconds,
            startup_timeout=self.startup_timeout_seconds,
            queue_timeout=self.queue_timeout_seconds,
            task=TaskKey(instance.dag_id, str(context["run_id"]), instance.task_id, map_index),
            manifest=manifest,
        )

    def is_deferred(self) -> bool:
        """Return whether the triggerer follows the pod: it is to, and has the plugin that it needs for it."""
        return self.deferred and has_plugin()

    def is_deferred_in_queue(self) -> bool:
        """Return whether the triggerer follows a pod that waits for quota."""
        return self.deferred_in_queue and has_plugin()

    def _follow(self, target: Target, progress: Progress) -> Ending:
        """Return how the pod ended; of one that takes longer, let the triggerer find out.

        Raises:
            TaskDeferred: the triggerer follows it from now on.
        """
        found: Ending | Target
        if self.is_deferred():
            found = follow_briefly(target, self.log, self._configuration)
        elif self.is_deferred_in_queue():
            found = follow_unless_queued(target, self.log, self._configuration)
        else:
            found = follow_here(target, self.log, self._configuration)
        if isinstance(found, Target) and not self._killed:
            self._defer(found, progress)
        return self._stopped(found if isinstance(found, Ending) else Ending(Kind.UNKNOWN))

    def _stopped(self, ending: Ending) -> Ending:
        """Return the ending unless it is that of a pod which was deleted because the task was stopped."""
        if self._killed and ending.kind is not Kind.SUCCEEDED:
            raise PodInterruptedError("the task was stopped, and its pod deleted, before the pod succeeded")
        return ending

    def _defer(self, target: Target, progress: Progress) -> NoReturn:
        from jobyard_trigger import PodTrigger  # type: ignore[import-not-found]

        self.log.info("The triggerer follows pod %s from now on, and writes its log; no worker is held", target.pod)
        target = replace(target, deferred_at=time.time())
        kwargs = {"target": target.arguments(), "progress": progress.arguments()}
        self.defer(trigger=PodTrigger(**target.arguments()), method_name="resume", kwargs=kwargs)

    def _next(self, target: Target, ending: Ending, progress: Progress) -> Progress | None:
        """Return with what the try goes on after the pod; None if it ends with it."""
        if ending.kind is Kind.LOST and progress.lost < self.replacements:
            facts = target.pod, ending.node or "none", ending.message, progress.lost + 1, self.replacements
            self.log.warning("Pod %s was lost (node: %s): %s; replacement %d of %d, in the same try", *facts)
            return progress.after_loss(target.pod, ending)
        if ending.kind is not Kind.OUT_OF_MEMORY or not self.on_oom or not progress.resources:
            return None
        more = more_memory(progress.resources, self.on_oom)
        if more is None or progress.growths >= MEMORY_STEPS:
            return None
        following = progress.with_more_memory(target.pod, ending, more)
        sizes = target.pod, progress.memory, following.memory
        self.log.warning("Pod %s ran out of memory at %s. The next one has %s, in the same try", *sizes)
        return following

    def _finish(self, context: Context, target: Target, ending: Ending, progress: Progress) -> object:
        """Return the task's result.

        Raises:
            JobyardError: the pod did not succeed, or did not leave the output that another task needs.
        """
        self.earlier_pods = progress.pods or None
        if ending.kind is not Kind.SUCCEEDED:
            raise _error(target, ending, progress)
        if progress.growths:
            self.log.warning(
                "It took %s of memory to succeed: write `memory: %s` into the job", *(progress.memory,) * 2
            )
        send_data_interval(context, self.outlets)
        return self._keep_output(context, ending.output)

    def _write_rest(self, target: Target, ending: Ending) -> None:
        """Write what was left of the pod's log; a log that can't be read must not fail the task."""
        if ending.log_complete:
            return
        try:
            write_rest(target, self.log, ending.log, self._configuration)
        except (RequestError, *FAILURES) as error:
            self.log.warning("Could not read the rest of the pod's log: %s", error)

    def _stored(self, context: Context, act: Callable[[], object]) -> object:
        """Return what `act` does, and store what the task says after it; not while it is deferred."""
        try:
            result = act()
        except Exception:
            self._store_fields(context)
            raise
        self._store_fields(context)
        return result

    def _keep_output(self, context: Context, text: str | None) -> object:
        """Keep the output for the tasks that need it, and its numbers in any case; return what Airflow is to count.

        Airflow keeps the fields of a task's last runs only (`core.num_dag_runs_to_retain_rendered_fields`), and XComs
        of all: they are the fallback for who collects the numbers of an earlier day.
        """
        output = self._read_output(text)
        self.measured, dropped = numbers(output)
        if dropped:
            self.log.warning("Numbers of the output that are not kept: %d; see the limits in docs/metrics.md", dropped)
        if self.do_xcom_push:
            return push_output(context, output)
        if self.measured:
            push_output(context, output)
        return None

    def _read_output(self, text: str | None) -> object:
        """Return the output; an output that no task needs may be missing or invalid, and is None then."""
        if self.do_xcom_push:
            return read_list(text) if self.output_is_list else read_output(text)
        try:
            return read_unneeded(text)
        except OutputError as error:
            self.log.warning("No numbers are kept: %s", error)
            return None

    def _store_fields(self, context: Context) -> None:
        """Store what the task says after it has run; that it cannot be stored must not fail the task."""
        try:
            store_rendered_fields(context["ti"], self)
        except Exception as error:
            self.log.warning("Could not store the numbers of the output: %s", error)

    def _pass_gate(self, context: Context) -> None:
        if self.gate is None:
            return
        holds, words = self.gate.holds(context)
        self.log.info("Gate: %s", words)
        if not holds:
            raise AirflowSkipException(f"the gate is closed: {words}")

    @property
    def _configuration(self) -> Any:
        """What the provider's client has read of the kubeconfig."""
        return self.client.api_client.configuration

    @property
    def _pods(self) -> Pods:
        return Pods(self.client, self.pod_manager, str(self.namespace), self.log)

    def build_pod_request_obj(self, context: Context | None = None, **options: bool) -> V1Pod:
        """Return the pod, with what provider 9.0.1 has no argument for: no Kubernetes token, a place for the output.

        An empty affinity counts as a field to the admission policy, which admits only the fields of this pod.
        """
        wanted, self.do_xcom_push = self.do_xcom_push, False
        try:
            pod = super().build_pod_request_obj(context, **options)
        finally:
            self.do_xcom_push = wanted
        pod.spec.automount_service_account_token = False
        pod.spec.affinity = NEAR_OTHER_TASKS if self.near_other_tasks else None
        for container in pod.spec.containers:
            container.termination_message_path = OUTPUT_PATH
        return pod


def first_try_since_cleared(instance: Any, retries: int) -> int:
    """Return the number of the first try after a person has cleared the task; 1 of a task that nobody has.

    To clear a task, Airflow raises the number of its last try: to that of the try it had, and the retries besides.
    """
    return int(instance.max_tries) - retries + 1


def resources(container: V1Container) -> Resources:
    """Return the container's resources as a release has them."""
    found = container.resources or V1ResourceRequirements()
    return {"requests": dict(found.requests or {}), "limits": dict(found.limits or {})}


def _error(target: Target, ending: Ending, progress: Progress) -> JobyardError:
    """Return the error of a pod that did not succeed."""
    kind = ERRORS[ending.kind]
    if kind in (PodNotStartedError, PodQueueTimedOutError, PodCannotStartError):
        return kind(ending.message)
    words = [f"Pod {target.pod} returned a failure: {ending.message}"]
    if ending.kind is Kind.LOST:
        words = [f"Pod {target.pod} was lost, as were the {progress.lost} before it in this try: {ending.message}"]
    if ending.kind is Kind.OUT_OF_MEMORY:
        words.append(f"Its limit was {progress.memory}: raise 'memory', or let it grow with 'on_oom'.")
    if ending.output and ending.kind is Kind.FAILED:
        words.append(ending.output)
    return kind("\n".join(words))
