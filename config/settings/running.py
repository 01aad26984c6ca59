"""When things run, and what staff hear of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from config.settings.values import Duration, MailAddress, PositiveDuration, Section
from incidents.model import Severity
from notifiers.alerts import AlertKind


class ScheduleSettings(Section):
    """When flows run.

    Parameters
    ----------
    step
        Length of a window of received time, counted from midnight UTC: it must divide a day.
    settle
        How long after a window's end its run starts, so that events on their way have arrived.
    lease
        How long a run may take before another may take over.
    max_backlog
        Missed windows that are caught up one by one, e.g. after an outage of ours; older ones are run as one.
    """

    step: PositiveDuration = timedelta(minutes=10)
    settle: Duration = timedelta(minutes=1)
    lease: PositiveDuration = timedelta(minutes=30)
    max_backlog: Annotated[int, Field(ge=1)] = 144

    @model_validator(mode="after")
    def _check_step(self) -> Self:
        if timedelta(days=1) % self.step:
            raise ValueError("step must divide a day, e.g. 5m, 15m or 1h")
        return self


class AlertSettings(Section):
    """What staff hear of at once, in Slack, Teams or wherever Apprise reaches.

    Parameters
    ----------
    urls
        Apprise's addresses, parted by commas or blanks: only from ``PREBUFFER_ALERT_URLS``.
    about
        What is told; see `notifiers.alerts.AlertKind`.
    from_severity
        Incidents below it are not.
    late_after
        From when a window should have been decided, how long all is well.
    """

    urls: SecretStr | None = None
    about: tuple[AlertKind, ...] = tuple(AlertKind)
    from_severity: Severity = Severity.MAJOR
    late_after: Duration = timedelta(minutes=30)


class DigestSettings(Section):
    """The weekly digest.

    Parameters
    ----------
    leads
        Mail addresses of those who get it; none means that nobody does.
    """

    leads: tuple[MailAddress, ...] = ()
