"""How gusty's own guide loads a folder of DAGs, with one tag of ours: gusty's own `!datetime` has no timezone."""

from pathlib import Path

import pendulum
from gusty import create_dags  # type: ignore[import-not-found]

create_dags(
    str(Path(__file__).with_name("gusty")),
    globals(),
    latest_only=False,
    dag_constructors={"!moment": pendulum.datetime},
)
