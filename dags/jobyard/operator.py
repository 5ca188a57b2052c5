"""KubernetesPodOperator with what its versions 9.0.1 to 10.21 lack or do differently, and nothing else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiException, V1Pod  # type: ignore[import-untyped]

from jobyard.compat import AirflowException, AirflowSkipException, Context
from jobyard.contract import OUTPUT_PATH
from jobyard.errors import JobyardError, PodInterruptedError
from jobyard.interval import send_data_interval
from jobyard.outputs import Gate, push_output, read_list, read_output
from jobyard.start import StartWatch


class JobPodOperator(KubernetesPodOperator):
    """One task of a job: one pod."""

    # An argument that ends in ".json" or ".yaml" is an argument, not the name of a file of templates to read.
    template_ext = ()
    _start_error: JobyardError | None = None

    def __init__(
        self,
        *,
        item: object = None,
        gate: Gate | None = None,
        output: bool = False,
        output_is_list: bool = False,
        **arguments: Any,
    ) -> None:
        """Add to the provider's arguments: the item of a `foreach`, the gate before it, what output it has."""
        super().__init__(**arguments)
        self.item = item
        self.gate = gate
        self.output_is_list = output_is_list
        # To Airflow it means that what `execute` returns is kept; the provider also takes it for "add a sidecar".
        self.do_xcom_push = output

    def execute(self, context: Context) -> object:
        """Run the pod; its own exit decides about success.

        Raises:
            AirflowSkipException: the gate is closed; no pod is made.
            OutputError: the pod succeeded without the output that another task needs.
            PodCannotStartError: see `await_pod_start`; likewise PodNotStartedError.
            PodInterruptedError: Airflow stopped the task (worker shut down, run marked) while the pod ran.
        """
        self._pass_gate(context)
        with self._without_sidecar():
            self._run_pod(context)
        send_data_interval(context, self.outlets)
        if not self.do_xcom_push:
            return None
        read = read_list if self.output_is_list else read_output
        return push_output(context, read(self.remote_pod, self.base_container_name))

    def _pass_gate(self, context: Context) -> None:
        if self.gate is None:
            return
        holds, words = self.gate.holds(context)
        self.log.info("Gate: %s", words)
        if not holds:
            raise AirflowSkipException(f"the gate is closed: {words}")

    def _run_pod(self, context: Context) -> None:
        try:
            # Not `execute`, of which Airflow 2 says in every task's log that none may call it but Airflow.
            self.execute_sync(context)
        except Exception:
            # The provider's clean-up raises over the cause ("Pod ... returned a failure"): put it back,
            # also because the cause says whether another try makes sense.
            if self._start_error is not None:
                raise self._start_error from None
            raise
        # After SIGTERM the provider deletes the pod and returns as if all were well: apache/airflow#73006.
        if self._killed and not self._succeeded():
            raise PodInterruptedError("the task was stopped, and its pod deleted, before the pod succeeded")

    def await_pod_start(self, pod: V1Pod) -> None:
        """Wait until the pod runs, with its events in the log as they come.

        Raises:
            PodCannotStartError: the image cannot be pulled or may not run; no further try.
            PodNotStartedError: not running within `startup_timeout_seconds`, or the pull keeps failing.
        """
        watch = StartWatch(self.startup_timeout_seconds)
        try:
            while True:
                self._log_events(pod, watch)
                if self._killed or watch.is_over(self.pod_manager.read_pod(pod)):
                    return
                time.sleep(self.startup_check_interval_seconds)
        except JobyardError as error:
            self._start_error = error
            raise

    def build_pod_request_obj(self, context: Context | None = None, **options: bool) -> V1Pod:
        """Return the pod, with what provider 9.0.1 has no argument for: no Kubernetes token, a place for the output.

        An empty affinity counts as a field to the admission policy, which admits only the fields of this pod.
        """
        with self._without_sidecar():
            pod = super().build_pod_request_obj(context, **options)
        pod.spec.automount_service_account_token = False
        pod.spec.affinity = None
        for container in pod.spec.containers:
            container.termination_message_path = OUTPUT_PATH
        return pod

    @contextmanager
    def _without_sidecar(self) -> Iterator[None]:
        wanted = self.do_xcom_push
        self.do_xcom_push = False
        try:
            yield
        finally:
            self.do_xcom_push = wanted

    def _log_events(self, pod: V1Pod, watch: StartWatch) -> None:
        """Log what is new. Events only explain: failing to read them must not fail the task."""
        try:
            events = self.pod_manager.read_pod_events(pod).items
        except (ApiException, AirflowException) as error:
            self.log.warning("Could not read the pod's events: %s", error)
            return
        for event in filter(watch.is_new, events):
            log = self.log.warning if event.type == "Warning" else self.log.info
            log("Pod event: %s: %s", event.reason, event.message)

    def _succeeded(self) -> bool:
        status = getattr(self.remote_pod, "status", None)
        return getattr(status, "phase", None) == "Succeeded"
