"""What the metrics job reads of a real Airflow, over HTTP and as through MWAA."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobyard_metrics.patience import Patience
from jobyard_metrics.sources.airflow import Airflow, AirflowDay, Try
from jobyard_metrics.sources.airflow_api import MwaaApi, RestApi
from jobyard_metrics.sources.earlier_pods import EarlierPod
from live.running import BOUND_SECONDS

COLUMNS = ("run_id", "task", "map_index", "try_number", "state")


class StandInMwaa:
    """Boto3's client for MWAA, which forwards to a real Airflow."""

    def __init__(self, api: RestApi) -> None:
        self._api = api

    def invoke_rest_api(
        self, Name: str, Path: str, Method: str, QueryParameters: Any = None, Body: Any = None
    ) -> dict[str, Any]:
        """Return the answer as MWAA wraps it."""
        answer = self._api.call(Method, Path.strip("/"), QueryParameters, Body)
        return {"RestApiStatusCode": 200, "RestApiResponse": answer}


class Collected:
    """The days since `first`, together."""

    def __init__(self, url: str, first: date) -> None:
        """Read them at once."""
        rest, last = RestApi(url), datetime.now(UTC).date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        self.days = [_day(Airflow(rest, Patience(BOUND_SECONDS)), day) for day in days]
        mwaa = MwaaApi(StandInMwaa(rest), "prod")
        self.through_mwaa = [_day(Airflow(mwaa, Patience(BOUND_SECONDS)), day) for day in days]

    def tries(self, job: str) -> list[tuple[str, int, int, str | None]]:
        """Return task, index, number and state of the tries of a job of team risk, in order."""
        found = [one for day in self.days for one in day.tries if (one.team, one.job) == ("risk", job)]
        return sorted((one.task, one.map_index, one.try_number, one.state) for one in found)

    def the_try(self, job: str) -> Try:
        """Return the only try of a job of team risk."""
        [found] = [one for one in self.all_tries() if (one.team, one.job) == ("risk", job)]
        return found

    def earlier_pods(self, job: str) -> list[EarlierPod]:
        """Return the pods that tries of a job of team risk have replaced."""
        found = [pod for day in self.days for one, pod in day.earlier_pods if (one.team, one.job) == ("risk", job)]
        # A day has those of tries that ended after it too.
        return list(dict.fromkeys(found))

    def runs(self, job: str) -> list[dict[str, Any]]:
        """Return the runs of a job of team risk."""
        return [run for day in self.days for run in day.runs if (run["team"], run["job"]) == ("risk", job)]

    def measured(self, job: str) -> list[tuple[str, int, str, float]]:
        """Return task, index, name and value of what a job of team risk measured, in order."""
        rows = [row for day in self.days for row in day.models if (row["team"], row["job"]) == ("risk", job)]
        return sorted((row["task"], row["map_index"], row["name"], row["value"]) for row in rows)

    def all_tries(self) -> list[Try]:
        """Return the tries of all days."""
        return [one for day in self.days for one in day.tries]


def _day(airflow: Airflow, day: date) -> AirflowDay:
    return airflow.day(day, datetime.now(UTC), lambda team, job, task: job == "measures")
