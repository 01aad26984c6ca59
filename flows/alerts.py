"""Tell staff what they must hear of: an incident opened, sending halted, a person is asked, a window is late."""

from __future__ import annotations

from prefect import flow, task

from config.alerting import tell_staff
from config.bootstrap import open_ledger
from flows.opening import now, settings_of


@task(name="tell staff", tags=["notices"])
def tell_what_is_due(config: str | None) -> dict[str, int]:
    """Return how many alerts were taken and how many were not; those are tried again by the next run."""
    settings = settings_of(config)
    if settings.alerts.urls is None:
        return {}
    with open_ledger(settings) as ledger:
        return vars(tell_staff(settings, ledger, now()))


def tell_without_fail(config: str | None) -> None:
    """Tell staff as a part of a longer run, which goes on even if that fails: Prefect shows the task as failed."""
    tell_what_is_due(config, return_state=True)


@flow(name="alerts")
def alerts(config: str | None = None) -> dict[str, int]:
    """Tell staff what they have not heard.

    Parameters
    ----------
    config
        A settings file; the default one if absent.
    """
    return tell_what_is_due(config)
