"""Mail leads what happened last week, with the command line, which owns the words."""

from __future__ import annotations

import subprocess
import sys

from prefect import flow, task

from flows.opening import RETRIES, RETRY_DELAY_S


@task(name="mail the digest", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["incidents"])
def mail_digest(config: str | None) -> None:
    """Run the command, which sends each week's digest once."""
    options = [] if config is None else ["--config", config]
    command = [sys.executable, "-m", "console.main", "digest", "--send", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


@flow(name="digest")
def digest(config: str | None = None) -> None:
    """Mail the digest of the last whole week to the leads in the settings.

    Parameters
    ----------
    config
        A settings file; the default one if absent.
    """
    mail_digest(config)
