"""Addresses of servers."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def without_login(address: str) -> str:
    """Return an address of HTTP without the user and the password in it; any other as it is."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
