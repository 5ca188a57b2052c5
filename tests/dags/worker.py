"""The loop of a worker: it answers another process, whose Python has no Airflow, one line of JSON after another."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import Bucket

MARK = "answer: "


def answer_all(answer: Callable[[Bucket, dict[str, Any]], Any]) -> None:
    """Answer each question until the other process closes the input.

    The arguments of the command are a dags folder and the platform's data.
    """
    bucket = Bucket(Path(sys.argv[1]))
    bucket.write("jobyard/platform.json", json.loads(sys.argv[2]))
    for line in sys.stdin:
        print(MARK + json.dumps(answer(bucket, json.loads(line))), flush=True)
