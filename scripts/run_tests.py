"""`make test`: the end-to-end tests, which mostly wait, and beside them all others, which mostly work.

Lines of the end-to-end tests are marked until the others have ended.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

END_TO_END = "tests/end_to_end"
OTHERS = ("tests/unit", "tests/template", "tests/charts", "tests/airflow", "tests/sync", "tests/iam")
MARK = "end to end │ "


def main() -> int:
    """Run both; 0 where both passed."""
    pytest = [str(Path(sys.executable).with_name("pytest"))]
    others_ended = threading.Event()
    # A cache of its own, as each run writes it anew. One line a test, as lines are what is passed on.
    waiting = [*pytest, "--verbose", "--override-ini=cache_dir=.pytest_cache/end_to_end", END_TO_END]
    with subprocess.Popen(waiting, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as end_to_end:
        assert end_to_end.stdout is not None
        shown = threading.Thread(target=_show, args=(end_to_end.stdout, others_ended))
        shown.start()
        try:
            code = subprocess.run([*pytest, *OTHERS], check=False).returncode
        finally:
            others_ended.set()
            shown.join()
    return code or end_to_end.wait()


def _show(lines: Iterable[str], others_ended: threading.Event) -> None:
    for line in lines:
        print("" if others_ended.is_set() else MARK, line, sep="", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
