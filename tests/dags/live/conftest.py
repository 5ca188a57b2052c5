"""One start of Airflow for all tests of this folder."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from live import releases
from live.running import LiveAirflow
from live.stand_ins import ScriptedCluster, Webhook
from support import PLATFORM, Bucket, kubeconfig

from tests.support.postgresql import postgresql

# Not less: Airflow may start a sensor's next look before it has taken note of the end of the last one.
LOOK_SECONDS = 10
# What the platform gives each team: together no more than Airflow runs at once.
SLOTS = {"risk": 5, "care": 1, "fraud": 1, "wide": 2, "queue": 1}


@dataclass
class Platform:
    """What the tests look at."""

    bucket: Bucket
    airflow: LiveAirflow
    cluster: ScriptedCluster
    webhook: Webhook

    def alerts(self, path: str, run: str) -> list[dict[str, str]]:
        """Return the alerts of the run."""
        return [alert for alert in self.webhook.alerts(path) if alert["run"] == run]

    def one_alert(self, path: str) -> dict[str, str]:
        """Return the only alert there, as soon as it has come."""
        self.airflow.wait(lambda: self.webhook.alerts(path), f"alert at {path}")
        [alert] = self.webhook.alerts(path)
        return dict(alert)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running Airflow with the releases of three teams, which begins to run their jobs by itself."""
    home = tmp_path_factory.mktemp("live")
    cluster, webhook = ScriptedCluster(), Webhook()
    bucket = Bucket(home / "dags")
    fill(bucket, cluster)
    with socket.socket() as deaf, postgresql() as database:
        deaf.bind(("127.0.0.1", 0))
        variables = {
            "AIRFLOW_CONN_JOBYARD_WEBHOOK_RISK": webhook.url,
            "AIRFLOW_CONN_JOBYARD_WEBHOOK_CARE": f"http://127.0.0.1:{deaf.getsockname()[1]}",
        }
        airflow = LiveAirflow(home, database, variables)
        try:
            airflow.create_tables()
            airflow.add_pools(SLOTS)
            airflow.start()
            yield Platform(bucket, airflow, cluster, webhook)
        finally:
            airflow.close()
            webhook.close()
            cluster.close()


def fill(bucket: Bucket, cluster: ScriptedCluster) -> None:
    """Put the teams' releases into the bucket, and the way to the cluster."""
    configuration = kubeconfig(cluster.url)
    [context] = configuration["contexts"]
    configuration["contexts"] = [{**context, "name": team} for team in SLOTS]
    band = PLATFORM["teams"]["risk"]
    bucket.write("jobyard/platform.json", {**PLATFORM, "teams": {**dict.fromkeys(SLOTS, band), **PLATFORM["teams"]}})
    bucket.write("jobyard/kubeconfig.yaml", configuration)
    waiting = bucket.folder / "jobyard" / "waiting.py"
    text = waiting.read_text()
    assert "POKE_SECONDS = 60\n" in text
    waiting.write_text(text.replace("POKE_SECONDS = 60\n", f"POKE_SECONDS = {LOOK_SECONDS}\n"))
    bucket.release(releases.risk())
    bucket.release(releases.care(), team="care")
    bucket.release(releases.fraud(), team="fraud")
    bucket.release({"flood": releases.flood()}, team="wide")
    bucket.release({"order": releases.order()}, team="queue")
