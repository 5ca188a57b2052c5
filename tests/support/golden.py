"""Golden files: what was made and reviewed once, kept beside the tests, and compared with what is made now.

`make golden` renews all of them: it runs the tests marked `golden` with `JOBYARD_UPDATE_GOLDEN=1`, which writes each
file before it is compared. Read the difference with `git diff` before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path


def assert_golden(file: Path, made: str | bytes) -> None:
    """Compare what was made now with the golden file, byte by byte; renew the file first if that is asked for."""
    content = made.encode() if isinstance(made, str) else made
    if os.environ.get("JOBYARD_UPDATE_GOLDEN"):
        file.write_bytes(content)
    kept = file.read_bytes()
    # As text, where they are text: pytest shows the difference line by line.
    assert made == (kept.decode() if isinstance(made, str) else kept)
