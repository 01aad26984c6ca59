"""Read what collectors have put into the incoming folder."""

from __future__ import annotations

from prefect import flow, task

from flows.due import run_name
from flows.opening import RETRIES, RETRY_DELAY_S, opened, settings_of


@task(name="ingest incoming files", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["telemetry"])
def ingest_incoming(config: str | None) -> dict[str, int]:
    """Ingest what is new in the incoming folder, if there is one; return rows by what became of them."""
    folder = settings_of(config).paths.incoming
    if not folder.is_dir() or not any(folder.iterdir()):
        return {}
    with opened(config) as pipeline:
        found = pipeline.ingest(folder)
    refused = sum(found.quarantined.values())
    return {"accepted": found.accepted, "duplicates": found.duplicates, "quarantined": refused}


@flow(name="ingest", flow_run_name=run_name("ingest"))
def ingest(window: str | None = None, config: str | None = None) -> dict[str, int]:
    """Read what is new in the incoming folder.

    Parameters
    ----------
    window
        ``START/END``; only names the run. The due one if absent.
    config
        A settings file; the default one if absent.
    """
    del window
    return ingest_incoming(config)
