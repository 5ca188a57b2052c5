"""The data interval of a run, which every run has, however it was started.

Airflow 3 gives a run that assets started none at all, and so no `ds`. The run that wrote the asset had one, and sends
it along with the asset's event; Airflow 2 takes it from that run by itself. A run by hand has its moment.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pendulum
from pendulum import DateTime

from jobyard.errors import IntervalError

START = "data_interval_start"
END = "data_interval_end"


def data_interval(context: Mapping[str, Any]) -> tuple[DateTime, DateTime]:
    """Return start and end of the data interval of the context's run."""
    start = context.get(START)
    end = context.get(END)
    if start is not None and end is not None:
        return start, end
    received = list(_received(context))
    if received:
        starts, ends = zip(*received, strict=True)
        return min(starts), max(ends)
    run = context["dag_run"]
    moment = pendulum.instance(context.get("logical_date") or run.run_after)
    return moment, moment


def _received(context: Mapping[str, Any]) -> Iterator[tuple[DateTime, DateTime]]:
    """Yield the data intervals of the events that started the run."""
    events = context.get("triggering_asset_events") or {}
    for asset in events:
        for event in events[asset]:
            # A person may send an event too, by Airflow's API, with whatever beside it.
            extra = event.extra if isinstance(event.extra, Mapping) else {}
            if START in extra and END in extra:
                yield _moment(extra[START]), _moment(extra[END])


def _moment(text: object) -> DateTime:
    try:
        return pendulum.instance(datetime.fromisoformat(text))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        shown = repr(text[:80]) if isinstance(text, str) else type(text).__name__
        raise IntervalError(
            f"an asset's event must give its data interval as ISO 8601 timestamps; got {shown}: {error}"
        ) from error


def send_data_interval(context: Mapping[str, Any], outlets: list[Any]) -> None:
    """Let the events of the assets that the task writes carry the run's data interval."""
    if not outlets:
        return
    start, end = data_interval(context)
    for outlet in outlets:
        context["outlet_events"][outlet].extra.update({START: start.isoformat(), END: end.isoformat()})
