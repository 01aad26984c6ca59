"""Compare suppressions with SendGrid's lists, every night, for what its webhook did not bring."""

from __future__ import annotations

from prefect import flow, task

from config.bootstrap import open_account, open_ledger
from flows.opening import RETRIES, RETRY_DELAY_S, now, settings_of
from notifiers.reconcile import reconcile as compare_and_write


@task(name="reconcile suppressions", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["notices"])
def reconcile_suppressions(config: str | None) -> dict[str, int]:
    """Return what was added, lifted and left; nothing where mail does not go through SendGrid."""
    settings = settings_of(config)
    if not settings.channels.uses_sendgrid:
        return {}
    with open_ledger(settings) as ledger, open_account(settings) as (account, client):
        found = compare_and_write(ledger.engine, client, account, now())
    return {"added": sum(found.added.values()), "lifted": found.lifted, "only ours": found.ours}


@flow(name="reconcile")
def reconcile(config: str | None = None) -> dict[str, int]:
    """Suppress what SendGrid suppresses.

    Parameters
    ----------
    config
        A settings file; the default one if absent.
    """
    return reconcile_suppressions(config)
