"""What Airflow's page of a DAG shows: the description and the `job.yaml` itself.

Airflow renders it as Markdown, and people with other permissions than the team's see it: a reader's browser fetches an
image, and a link's text may name another address. So all that a team writes is in code blocks, which contain neither.
"""

import re

from jobyard.contract import digest_line

DIGEST = re.compile(r"[0-9a-f]{1,64}")


def job_page(text: str, source: str, digest: str | None, heading: str = "", notes: str = "") -> str:
    """Return Markdown: the heading, which is ours, the text, notes of ours, the digest of the job, then its source.

    `jobyard sync` waits until Airflow shows the digest of the job that it released.

    The page ends with a block's end and so never with ".md", which Airflow would take for the name of a file to read.
    """
    parts: list[str] = []
    if heading:
        parts.append(heading)
    if text:
        parts.append(_block(text))
    if notes:
        parts.append(notes)
    if digest and DIGEST.fullmatch(digest):
        parts.append(digest_line(digest))
    return "\n\n".join([*parts, _block(source, "yaml")])


def _block(text: str, language: str = "text") -> str:
    """Return the text as a block of code, whose fence is longer than any run of backticks in it."""
    longest = max(re.findall("`+", text), key=len, default="")
    fence = "`" * max(3, len(longest) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
