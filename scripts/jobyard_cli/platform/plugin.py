"""The plugin through which Airflow's triggerer finds the library, as the archive that MWAA takes its plugins from."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jobyard

from jobyard_cli.errors import JobyardError

MODULE = "jobyard_trigger.py"
"""The plugin's file, at the top of the archive: the plugins folder is on the path of every process of Airflow's."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that an archive can have. With it the same content always is the same archive."""
MODE = 0o100644


class UnreadableArchiveError(JobyardError):
    """A plugins.zip to which the plugin was to be added can't be read."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file} must be a zip archive that can be read, without a password: {reason}")


def source() -> bytes:
    """Return the plugin: one module, which never changes between versions of the library."""
    return (Path(jobyard.__file__).parent / "plugin" / MODULE).read_bytes()


def archive(existing: Path | None = None) -> bytes:
    """Return the archive with the plugin, and with all else that an existing one has, as it is there.

    Raises:
        UnreadableArchiveError: the existing file is missing or not such an archive.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        if existing is not None:
            _copy(existing, target)
        entry = zipfile.ZipInfo(MODULE, EPOCH)
        entry.create_system = 3  # Unix: else its mode would depend on the system that made it
        entry.external_attr = MODE << 16
        target.writestr(entry, source())
    return buffer.getvalue()


def _copy(existing: Path, target: zipfile.ZipFile) -> None:
    with _opened(existing) as archive:
        target.comment = archive.comment
        for entry in archive.infolist():
            if entry.filename != MODULE:
                target.writestr(entry, archive.read(entry))


def has_plugin(archive: Path) -> bool:
    """Return whether an archive has the plugin as it is.

    Raises:
        UnreadableArchiveError: the file is missing or not such an archive.
    """
    with _opened(archive) as opened:
        return MODULE in opened.namelist() and opened.read(MODULE) == source()


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive that a person has.

    Raises:
        UnreadableArchiveError: it is missing, or can't be read.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    # The last two: an encrypted entry, and a compression that this Python does not have.
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise UnreadableArchiveError(archive, str(error)) from error
