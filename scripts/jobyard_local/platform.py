"""One local platform: what it is made of, the order in which it starts, and how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml
from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.cli.steps import Steps
from jobyard_cli.errors import JobyardError
from jobyard_cli.images.addresses import pod_limits
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.environments import PLATFORM_TEAM_FILE, Environment
from jobyard_cli.platform.files import platform_files, shared_variables, task_types
from jobyard_cli.platform.loader_counts import loader_counts
from jobyard_cli.platform.own_jobs import own_release, prices
from jobyard_cli.platform.pools import make_pools, wanted_pools
from jobyard_cli.platform.publish import publish
from jobyard_cli.release.releases import publish as publish_release
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.git import commit
from jobyard_cli.system.locks import no_waiting

from jobyard_local import airflow, argocd, bridge, karpenter, machine, metrics, pod_identity, services, tools
from jobyard_local.cluster import Cluster, EmbeddedCluster, ExistingCluster, copy_kubeconfig
from jobyard_local.control_plane import Kubectl, write_private
from jobyard_local.errors import NotMeasuredError, NotRunningError, PlatformBusyError, UnsupportedError
from jobyard_local.layout import Layout, own_address
from jobyard_local.processes import Supervisor
from jobyard_local.settings import REAL_NODE_GROUPS, Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AIRFLOW_BUCKET = "jobyard-airflow"
DATA_BUCKET = "jobyard-data"
ENVIRONMENT = "local"


@dataclass(frozen=True)
class Built:
    """What `build` made: paths in the cache."""

    tools: Path
    airflow: Path


def build(source: Source, cache: Path, steps: Steps, embedded: bool = True) -> Built:
    """Install and build all that platforms share; a few seconds if the cache has everything.

    `embedded` is whether the platform is to have a cluster of its own.

    Raises:
        UnsupportedError: this machine can't run the platform.
        ProgramError: an installation or a build failed.
    """
    machine.check(embedded)
    cache.mkdir(parents=True, exist_ok=True)
    with steps.step("system packages") as report:
        machine.install_packages(embedded, report)

    def build_tools() -> Path:
        with steps.step("Kubernetes, Argo CD, Kueue, Karpenter and the S3 server, from source") as report:
            return tools.ensure(cache, report)

    def install_airflow() -> Path:
        with steps.step("Airflow with MWAA's pins") as report:
            return airflow.ensure(source, cache, report)

    with ThreadPoolExecutor() as pool:
        built, installed = pool.submit(build_tools), pool.submit(install_airflow)
        return Built(built.result(), installed.result())


@dataclass(frozen=True)
class Existing:
    """A cluster that the person has: its kubeconfig, the context in it, and this machine's address as its pods see it.

    None stands for the current context, and for the address on the way to its API server.
    """

    kubeconfig: Path
    context: str | None = None
    address: str | None = None


class LocalPlatform:
    """The platform whose state is in one folder; Argo CD polls every `poll_seconds`, or sooner on `refresh`."""

    def __init__(self, state: Path, source: Source, poll_seconds: int = argocd.POLL_SECONDS) -> None:
        self.state = state
        self.poll_seconds = poll_seconds
        self.source = source
        self.supervisor = Supervisor(state)

    @cached_property
    def layout(self) -> Layout:
        """Raises: NotRunningError where `up` has not been here."""
        layout = Layout.load(self.state)
        if layout is None:
            raise NotRunningError(self.state.name)
        return layout

    @cached_property
    def cluster(self) -> Cluster:
        """Raises: NotRunningError where `up` has not been here."""
        if self.layout.embedded:
            return EmbeddedCluster(self.layout, self.node_groups, self.supervisor)
        return ExistingCluster(self.layout)

    @property
    def kubectl(self) -> Kubectl:
        return self.cluster.kubectl

    @cached_property
    def airflow(self) -> AirflowClient:
        return AirflowClient(self.layout.airflow_url)

    @cached_property
    def root_credentials(self) -> services.Credentials:
        return services.Credentials.ensure(self.state / "s3" / "root")

    @cached_property
    def job_credentials(self) -> services.Credentials:
        return services.Credentials.ensure(self.state / "s3" / "jobs")

    @cached_property
    def metrics_credentials(self) -> services.Credentials:
        return services.Credentials.ensure(self.state / "s3" / "metrics")

    @cached_property
    def node_groups(self) -> dict[str, Any]:
        groups: dict[str, Any] = yaml.safe_load((self.source.values / "node-groups.yaml").read_text())["nodeGroups"]
        return groups

    @cached_property
    def platform_repository(self) -> services.GitRepository:
        return services.GitRepository(self.layout, "platform")

    def s3(self) -> S3Client:
        """Return a client with every right on the S3 server."""
        return services.s3_client(self.layout, self.root_credentials)

    def is_embedded(self, existing: Existing | None = None) -> bool:
        """Return whether the platform has, or gets when it starts, a cluster of its own."""
        layout = Layout.load(self.state)
        return existing is None and (layout is None or layout.embedded)

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Keep other commands from starting or stopping this platform meanwhile.

        Raises:
            PlatformBusyError: another command has it.
        """
        # Beside the folder, not in it: `down` takes the folder away.
        with no_waiting(self.state.with_suffix(".lock")) as is_ours:
            if not is_ours:
                raise PlatformBusyError(self.state.name)
            yield

    def up(self, built: Built, steps: Steps, existing: Existing | None = None, *, scheduler: bool = True) -> None:
        """Start what does not run; on a platform that was killed, on the state it left.

        Without `scheduler` there is no Airflow, for what looks at the cluster alone.

        Raises:
            UnsupportedError: another program took a port of the platform while it was stopped, or the existing cluster
                won't do.
            ProcessDiedError, ProcessNotReadyError, ProgramError: a part did not start, with the end of its log.
        """
        self._prepare_layout(built.tools, existing)
        with ThreadPoolExecutor() as pool:
            storage = pool.submit(self._start_storage, steps)
            cluster = pool.submit(self._start_cluster, steps)
            storage.result()
            started = pool.submit(self._start_airflow, built, steps) if scheduler else None
            cluster.result()
            self._start_argocd(steps)
            if started:
                started.result()

    def _prepare_layout(self, tools: Path, existing: Existing | None) -> None:
        layout = Layout.load(self.state)
        if layout is None:
            layout = self._first_layout(tools, existing)
        elif existing and layout.embedded:
            raise UnsupportedError(
                f"the platform '{self.state.name}' already has a cluster of its own; "
                "choose another --name, or delete it with `jobyard local down --purge`"
            )
        elif not any(self.processes().values()):
            # Children of what was killed may hold ports still.
            self.supervisor.stop(self.supervisor.names())
            layout.check_ports()
        self.layout = replace(layout.with_new_ports(), tools=tools)
        self.layout.save()
        # Made here, before threads ask for it, and again if an earlier start had made one.
        self.__dict__.pop("cluster", None)
        _ = self.cluster

    def _first_layout(self, tools: Path, existing: Existing | None) -> Layout:
        if existing is None:
            return Layout.choose(self.state, tools, len(REAL_NODE_GROUPS))
        text = copy_kubeconfig(str(tools / "kubectl"), existing.kubeconfig, existing.context)
        server = yaml.safe_load(text)["clusters"][0]["cluster"]["server"]
        host = existing.address or own_address(urlsplit(server).hostname or "")
        layout = Layout.beside(self.state, tools, host)
        write_private(layout.admin_kubeconfig, text)
        try:
            ExistingCluster(layout).check()
        except JobyardError:
            shutil.rmtree(self.state)
            raise
        return layout

    def _start_storage(self, steps: Steps) -> None:
        with steps.step("S3 server, image registry"):
            if self.layout.embedded:
                bridge.create(self.layout)
            self.supervisor.start(services.s3_process(self.layout, self.root_credentials))
            self.supervisor.start(services.registry_process(self.layout, cache_dir() / "registry"))
            self._create_buckets()

    def _create_buckets(self) -> None:
        client = self.s3()
        existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for name in {AIRFLOW_BUCKET, DATA_BUCKET, metrics.BUCKET} - existing:
            client.create_bucket(Bucket=name)
        # MWAA refuses a bucket without versioning, and a rollback depends on it too.
        client.put_bucket_versioning(Bucket=AIRFLOW_BUCKET, VersioningConfiguration={"Status": "Enabled"})
        if DATA_BUCKET not in existing:
            services.create_user(self.layout, self.root_credentials, self.job_credentials)
            client.put_bucket_policy(Bucket=DATA_BUCKET, Policy=json.dumps(_data_policy(self.job_credentials)))
        if metrics.BUCKET not in existing:
            key = self.metrics_credentials
            services.create_user(self.layout, self.root_credentials, key)
            client.put_bucket_policy(Bucket=metrics.BUCKET, Policy=metrics.store_policy(key))
            client.put_bucket_policy(Bucket=AIRFLOW_BUCKET, Policy=metrics.releases_policy(AIRFLOW_BUCKET, key))

    def _start_cluster(self, steps: Steps) -> None:
        self.cluster.start(steps)
        teams, own = map(self._aws_environment, (self.job_credentials, self.metrics_credentials))
        self.kubectl.apply(*pod_identity.policies(teams, own))

    def _aws_environment(self, key: services.Credentials) -> dict[str, str]:
        """Return the variables with which AWS' clients reach the S3 server with this key."""
        return {
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret_key,
            "AWS_REGION": services.REGION,
            "AWS_ENDPOINT_URL_S3": self.layout.s3_url,
        }

    def _start_argocd(self, steps: Steps) -> None:
        with steps.step("Argo CD"):
            argocd.install(self.kubectl, self.layout.tools / "argocd-crds", self.poll_seconds)
            self.supervisor.start(services.redis_process(self.layout))
            for process in argocd.processes(self.layout, self.poll_seconds):
                self.supervisor.start(process)
        with steps.step("the platform's chart, synced by Argo CD"):
            self._bootstrap()

    def _bootstrap(self) -> None:
        """What an administrator applies by hand on a real cluster: the Application that syncs all the rest."""
        self.platform_repository.create()
        revision = self.push_platform()
        values = f"repo={self.platform_repository.url},environment={ENVIRONMENT}"
        rendered = argocd.render(self.source.charts / "bootstrap", "--set", values)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=rendered)
        argocd.refresh(self.kubectl, "platform")
        # The reserved team's are made by the first, and stand a moment after it.
        for application in ("platform", *self._own_applications()):
            argocd.wait_settled(self.kubectl, application, revision)

    def _values(self) -> dict[str, Any]:
        """Return the values of the environment's file."""
        values = {
            "name": ENVIRONMENT,
            "registry": self.layout.registry,
            "bucket": AIRFLOW_BUCKET,
            "queueing": self.cluster.queueing,
            "fillMachines": True,
        }
        if not self.layout.embedded:
            # The person's cluster may have no Prometheus, and its machines are the person's.
            return values
        return {**values, **metrics.values(self.layout), "karpenter": karpenter.values()}

    def environment(self) -> Environment:
        """Return the platform's only environment, with the registered teams and the reserved one."""
        values = self._values()
        own = yaml.safe_load((self.source.root / PLATFORM_TEAM_FILE).read_text()) if "metrics" in values else None
        return Environment(ENVIRONMENT, values, self.teams(), platform_team=own)

    def push_platform(self) -> str:
        """Commit this checkout's charts, and the teams registered so far, to the repository Argo CD follows."""
        files: dict[str, Path | str] = {
            "charts/platform": self.source.charts / "platform",
            "charts/bounds": self.source.charts / "bounds",
            # The reserved team's chart is here, as it has no repository of its own.
            "charts/team": self.source.charts / "team",
            "values/node-groups.yaml": self.source.values / "node-groups.yaml",
            PLATFORM_TEAM_FILE: self.source.root / PLATFORM_TEAM_FILE,
            f"values/environments/{ENVIRONMENT}.yaml": yaml.safe_dump({"environment": self._values()}),
        }
        for team, values in self.teams().items():
            files[f"values/teams/{team}.yaml"] = yaml.safe_dump(dict(values), sort_keys=False)
        return self.platform_repository.replace(files, "Update the platform", self.state / "platform-worktree")

    def teams(self) -> dict[str, dict[str, Any]]:
        """Return the registered teams, and what the platform grants each."""
        try:
            teams: dict[str, dict[str, Any]] = json.loads((self.state / "teams.json").read_text())
        except FileNotFoundError:
            return {}
        return teams

    def add_team(self, team: str, values: Mapping[str, Any]) -> None:
        """Register a team: its bounds through Argo CD, its loader and its kubeconfig context through the bucket.

        Raises:
            TookTooLongError: Argo CD could not sync the team's bounds.
        """
        revision = self.register({**self.teams(), team: values})
        for application in (f"bounds-{team}", *self._own_applications()):
            argocd.wait_settled(self.kubectl, application, revision)
        make_pools(self.airflow, wanted_pools(self.environment().all_teams))
        self.put_platform_files()

    def register(self, teams: Mapping[str, Mapping[str, Any]]) -> str:
        """Write these teams to the platform's repository, refresh Argo CD, and return the commit."""
        (self.state / "teams.json").write_text(json.dumps({team: dict(values) for team, values in teams.items()}))
        revision = self.push_platform()
        argocd.announce(self.kubectl, self.platform_repository.changed(revision))
        for application in self._own_applications():
            argocd.refresh(self.kubectl, application)
        return revision

    def _own_applications(self) -> list[str]:
        """Return the names of the Applications of the reserved team."""
        return [*metrics.APPLICATIONS] if self.layout.embedded else []

    def put_platform_files(self) -> list[str]:
        """Put the platform's own files into Airflow's bucket; return the names of those that changed."""
        environment = self.environment()
        teams = environment.all_teams
        config = self.cluster.launchers(sorted(teams))
        platform = platform_data(
            self.node_groups,
            ENVIRONMENT,
            task_types=task_types(self.source.values),
            teams=teams,
            limits=pod_limits(environment),
            data_buckets=[DATA_BUCKET],
            variables=shared_variables(self.source.values),
        )
        kubeconfig = yaml.safe_dump(config, sort_keys=False)
        own_prices = prices(self.source.root, environment)
        files = platform_files(self.source.dags, loader_counts(teams), platform, kubeconfig, own_prices)
        return publish(self.s3(), AIRFLOW_BUCKET, files).put

    def release_metrics(self, image: str) -> None:
        """Release the platform's own job, whose image is at this address; its bounds have to be in the cluster.

        Raises:
            InvalidJobsError: the check found something in the job.
            NotMeasuredError: the platform has no Prometheus, as its cluster is the person's own.
        """
        release = own_release(self.source.root, self.environment(), commit(self.source.root), {metrics.IMAGE: image})
        if release is None:
            raise NotMeasuredError
        self.kubectl.apply(metrics.login(self.layout))
        publish_release(self.s3(), AIRFLOW_BUCKET, release, "the local platform")
        self.airflow.set_variable(metrics.IMAGES, json.dumps({metrics.IMAGE: image}))

    def _start_airflow(self, built: Built, steps: Steps) -> None:
        with steps.step("Airflow"):
            airflow.prepare(self.layout, built.airflow)
            self.put_platform_files()
            variables = self._aws_environment(self.root_credentials)
            for process in airflow.processes(self.layout, built.airflow, AIRFLOW_BUCKET, variables):
                self.supervisor.start(process)
            if self.layout.embedded:
                self.supervisor.start(airflow.server_for_pods(self.layout, built.airflow))
            self.airflow.set_variable("jobyard_data_bucket", DATA_BUCKET)
            make_pools(self.airflow, wanted_pools(self.environment().all_teams))

    def down(self, purge: bool) -> None:
        """Stop everything; with `purge` forget the state too, so that the next `up` starts from scratch.

        Raises:
            ProgramError: the existing cluster could not be cleaned; the state is kept, to try again.
        """
        self.supervisor.stop(self.supervisor.names(), grace=5)
        if Layout.load(self.state) is not None:
            if purge:
                self.cluster.forget()
            self.cluster.clean_up()
        if purge:
            shutil.rmtree(self.state, ignore_errors=True)

    def processes(self) -> dict[str, bool]:
        """Return whether each process runs, by its name."""
        return {name: self.supervisor.alive(name) for name in sorted(self.supervisor.names())}


def _data_policy(jobs: services.Credentials) -> dict[str, Any]:
    """Return the policy of the jobs' key on the data bucket: read and write objects; no deletions, no settings."""
    resources = [f"arn:aws:s3:::{DATA_BUCKET}", f"arn:aws:s3:::{DATA_BUCKET}/*"]
    actions = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [jobs.access_key]},
        "Action": actions,
        "Resource": resources,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
