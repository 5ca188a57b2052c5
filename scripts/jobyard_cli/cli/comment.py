"""`jobyard comment`: a pipeline's answer where the merge request is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.options import require_file


def comment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Markdown file, such as the output of `jobyard plan`.")],
) -> None:
    """Post a file as the pipeline's one comment on its merge request; without a token, print it."""
    from jobyard_cli.merge_request.comment import MissingTokenError, NoMergeRequestError, thread

    require_file("FILE", file)
    text = file.read_text(encoding="utf-8")
    try:
        found = thread(os.environ)
    except (MissingTokenError, NoMergeRequestError) as reason:
        # The plan is what counts: a pipeline that may not comment still shows it, and does not fail.
        print(text)
        print(reason, file=sys.stderr)
        return
    print(f"comment on the merge request: {found.put(text)}")
