"""Images as files, as the job that builds them hands them to the job that pushes: OCI layouts, which may be anything.

Who built them ran programs of others. So what is in a layout is looked at as data, before skopeo does: plain files,
named by their digests, without an address that something else would be fetched from. skopeo then compares every digest.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from jobyard_cli.images.errors import ImageLayoutError

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
TAG = "org.opencontainers.image.ref.name"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MAXIMUM_MANIFEST = 4 << 20
"""Bytes."""


_Content = Mapping[str, Any]
"""An index or a manifest, which is looked at as it is used: a layout may hold anything."""
_Part = Mapping[str, Any]
"""What an index or a manifest says of a part of it: an OCI content descriptor."""


def digest_of(layout: Path, tag: str) -> str:
    """Return the digest of a layout's image with this tag, after checking each of its parts.

    Raises:
        ImageLayoutError: the layout is not there, or not what buildah makes.
    """
    for path in _irregular(layout):
        raise ImageLayoutError(layout, f"{path.relative_to(layout)} must be a regular file")
    try:
        index = json.loads(_read(layout, layout / "index.json"))
        (image,) = [part for part in _objects(index, "manifests") if part.get("annotations", {}).get(TAG) == tag]
        _check_image(layout, image)
        return str(image["digest"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageLayoutError(layout, f"no image with the tag {tag} that can be read") from error


def _irregular(layout: Path) -> Iterator[Path]:
    """What is neither a folder nor a file of its own: links, devices."""
    if layout.is_symlink():
        yield layout
        return
    for folder, folders, files in os.walk(layout):
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                yield Path(folder, name)


def _check_image(layout: Path, image: _Part) -> None:
    manifests = [image]
    if image["mediaType"] == INDEX:
        manifests = _objects(_blob(layout, image), "manifests")
    for manifest in manifests:
        if manifest["mediaType"] != MANIFEST:
            raise ImageLayoutError(layout, "a list in a list of platforms")
        content = _blob(layout, manifest)
        for part in (content["config"], *_objects(content, "layers")):
            _sized(layout, part)


def _objects(content: _Content, name: str) -> list[_Part]:
    return list(content[name])


def _blob(layout: Path, part: _Part) -> _Content:
    """A manifest's content, which has the digest that it is named by."""
    data = _read(layout, _sized(layout, part))
    if f"sha256:{sha256(data).hexdigest()}" != part["digest"]:
        raise ImageLayoutError(layout, f"{part['digest']} does not match its content")
    content: _Content = json.loads(data)
    return content


def _sized(layout: Path, part: _Part) -> Path:
    """The file of a part, which has the size that the part states and comes from nowhere else."""
    digest = DIGEST.fullmatch(part["digest"])
    if digest is None:
        raise ImageLayoutError(layout, "a digest that is not of SHA-256")
    if part.get("urls"):
        raise ImageLayoutError(layout, f"{part['digest']} must be in the layout; it refers to a URL")
    file = layout / "blobs" / "sha256" / digest[1]
    if not file.is_file() or file.stat().st_size != part["size"]:
        raise ImageLayoutError(layout, f"{part['digest']} is missing, or differs in size")
    return file


def _read(layout: Path, file: Path) -> bytes:
    if not file.is_file():
        raise ImageLayoutError(layout, f"it has no {file.name}")
    if file.stat().st_size > MAXIMUM_MANIFEST:
        raise ImageLayoutError(layout, f"{file.name} has more than {MAXIMUM_MANIFEST >> 20} MiB")
    return file.read_bytes()
