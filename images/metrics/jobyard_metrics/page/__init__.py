"""The page of the metrics: static files beside the Parquet, which need neither a server nor a network."""

from __future__ import annotations

from jobyard_metrics.page.build import Store, files, write
from jobyard_metrics.page.settings import Settings

__all__ = ["Settings", "Store", "files", "write"]
