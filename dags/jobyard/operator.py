"""KubernetesPodOperator with what its versions 9.0.1 to 10.21 lack or do differently, and nothing else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiException, V1Pod  # type: ignore[import-untyped]

from jobyard.compat import AirflowException, AirflowSkipException, Context, store_rendered_fields
from jobyard.contract import OUTPUT_PATH
from jobyard.entries import OnOom
from jobyard.errors import JobyardError, OutputError, PodInterruptedError
from jobyard.interval import send_data_interval
from jobyard.measured import numbers
from jobyard.outputs import Gate, push_output, read_list, read_output, read_unneeded
from jobyard.start import StartWatch


class JobPodOperator(KubernetesPodOperator):
    """One task of a job: one pod."""

    # An argument that ends in ".json" or ".yaml" is an argument, not the name of a file of templates to read.
    template_ext = ()
    # What the task says after it has run, for the lists of Airflow's REST API; until then there is nothing to render.
    template_fields = (*KubernetesPodOperator.template_fields, "measured", "pod_name")
    overwrite_rtif_after_execution = True
    _start_error: JobyardError | None = None

    def __init__(
        self,
        *,
        item: object = None,
        gate: Gate | None = None,
        output: bool = False,
        output_is_list: bool = False,
        timeout_seconds: int | None = None,
        on_oom: OnOom | None = None,
        **arguments: Any,
    ) -> None:
        """Add to the provider's arguments: the item of a `foreach`, the gate before it, what output it has."""
        super().__init__(**arguments)
        self.item = item
        self.gate = gate
        self.output_is_list = output_is_list
        self.timeout_seconds = timeout_seconds
        self.on_oom = on_oom
        self.measured: dict[str, float] | None = None
        self.pod_name: str | None = None
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
        try:
            with self._without_sidecar():
                self._run_pod(context)
            send_data_interval(context, self.outlets)
            return self._keep_output(context)
        finally:
            self._store_fields(context)

    def _keep_output(self, context: Context) -> object:
        """Keep the output for the tasks that need it, and its numbers in any case; return what Airflow is to count.

        Airflow keeps the fields of a task's last runs only (`core.num_dag_runs_to_retain_rendered_fields`), and XComs
        of all: they are the fallback for who collects the numbers of an earlier day.
        """
        output = self._read_output()
        self.measured, dropped = numbers(output)
        if dropped:
            self.log.warning("Numbers of the output that are not kept: %d; see the limits in docs/metrics.md", dropped)
        if self.do_xcom_push:
            return push_output(context, output)
        if self.measured:
            push_output(context, output)
        return None

    def _read_output(self) -> object:
        """Return the output; an output that no task needs may be missing or invalid, and is None then."""
        if self.do_xcom_push:
            read = read_list if self.output_is_list else read_output
            return read(self.remote_pod, self.base_container_name)
        try:
            return read_unneeded(self.remote_pod, self.base_container_name)
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
        finally:
            self.pod_name = self.pod.metadata.name if self.pod else None
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
