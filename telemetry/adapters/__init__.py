"""One file format or vendor, one file; and the registry of them all."""

from __future__ import annotations

from pathlib import Path

from telemetry.adapters.csv import Csv
from telemetry.adapters.ndjson import NdJson
from telemetry.adapters.parquet import Parquet
from telemetry.adapters.puffer import Puffer
from telemetry.adapters.reading import Adapter
from telemetry.errors import UnknownFormatError

ADAPTERS: dict[str, Adapter] = {
    "parquet": Parquet(),
    "ndjson": NdJson(),
    "csv": Csv(),
    "puffer": Puffer(),
}
"""Every format that ingest reads, by name."""


def adapter_named(name: str) -> Adapter:
    """Return the adapter called `name`; raises `UnknownFormatError` if there is none."""
    if name not in ADAPTERS:
        raise UnknownFormatError(f"There is no format {name!r}; there are {', '.join(ADAPTERS)}.")
    return ADAPTERS[name]


def adapter_for(path: Path) -> Adapter | None:
    """Return the adapter that reads files named like `path`, or None."""
    return next((a for a in ADAPTERS.values() if a.suffixes and path.name.lower().endswith(a.suffixes)), None)
