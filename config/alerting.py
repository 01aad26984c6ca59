"""Staff alerts, built from the settings: what is worth one, where it is said, and telling it once."""

from __future__ import annotations

from datetime import datetime

from config.settings import Settings
from incidents.ledger.store import Ledger
from notifiers.alerts import Alert, AlertRule, standing
from notifiers.staff import AlertReport, Place, places, tell


def alert_rule(settings: Settings) -> AlertRule:
    """Return what is worth an alert."""
    alerts, schedules = settings.alerts, settings.schedules
    late_after = schedules.step + schedules.settle + alerts.late_after
    return AlertRule(alerts.about, alerts.from_severity, late_after)


def alert_places(settings: Settings) -> list[Place]:
    """Return where staff are told; nowhere if no address is set.

    Raises
    ------
    AlertError
        If Apprise cannot use one of the addresses.
    """
    urls = settings.alerts.urls
    return [] if urls is None else places(urls.get_secret_value())


def console_address(settings: Settings) -> str | None:
    """Return where staff find the console, or None if it is not open or has no address."""
    public = settings.web.public_url
    return f"{public.rstrip('/')}/console" if public and settings.console.is_open else None


def alerts_now(settings: Settings, ledger: Ledger, now: datetime) -> list[Alert]:
    """Return what staff should know of, told or not."""
    with ledger.read() as connection:
        return standing(connection, alert_rule(settings), now)


def tell_staff(settings: Settings, ledger: Ledger, now: datetime) -> AlertReport:
    """Tell staff what they have not heard; errors as of `alert_places`."""
    where = alert_places(settings)
    if not where:
        return AlertReport()
    return tell(ledger.engine, alerts_now(settings, ledger, now), where, console_address(settings), now)
