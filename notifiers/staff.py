"""Tells staff by Apprise, in Slack, Teams or a hundred other places: each place hears each alert once.

An alert is claimed before it is sent, and again after a pause that doubles if the place did not take it. A process that
dies in between may say it twice: better twice than never. Nothing here stops what called it, and no log or text shows
an address, for addresses hold tokens.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, func, select, update

from incidents.ledger.schema import staff_alerts
from incidents.ledger.store import writing
from notifiers.alerts import Alert, AlertError
from notifiers.insert import insert_new
from notifiers.waits import Waits

if TYPE_CHECKING:
    from apprise import Apprise

PATIENCE_S = 15.0
"""In all, however slowly a place answers; all are told at the same time."""
WAITS = Waits(timedelta(minutes=1), timedelta(hours=1))
MOST_AT_ONCE = 10
"""Alerts in one message; more come in the next."""
STARS = "****"
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_ASSET: dict[str, Any] = {
    "app_id": "Prebuffer",
    "app_desc": "Prebuffer",
    "image_url_mask": "",
    "image_url_logo": "",
    "http_redirects": False,
    "pem_autogen": False,
    "pgp_autogen": False,
}
log = logging.getLogger("prebuffer.alerts")


@dataclass(frozen=True)
class Place:
    """Somewhere staff read.

    Parameters
    ----------
    shown
        What may be printed of it.
    key
        Tells it from others in the ledger.
    apprise
        What posts there.
    """

    shown: str
    key: str
    apprise: Apprise = field(repr=False, compare=False)


@dataclass(frozen=True)
class AlertReport:
    """How many alerts places took, and how many they did not."""

    told: int = 0
    failed: int = 0


def places(urls: str) -> list[Place]:
    """Return the places that Apprise's addresses name, parted by commas or blanks.

    Raises
    ------
    AlertError
        If Apprise cannot use one of them.
    """
    _silence_apprise()
    listed = [url.strip(" \t\r\n,") for url in _BETWEEN.split(urls.strip())]
    return [_place(url, number) for number, url in enumerate(dict.fromkeys(filter(None, listed)), start=1)]


def _silence_apprise() -> None:
    """Keep what Apprise itself would log to itself: its lines may hold parts of addresses."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _place(url: str, number: int) -> Place:
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - it reads a hundred plugins: only where one is used

    apprise = Apprise(asset=AppriseAsset(storage_mode="memory", **_ASSET))
    if not apprise.add(url) or len(apprise) != 1:
        raise AlertError(f"Address {number} of PREBUFFER_ALERT_URLS is none that Apprise can use.")
    scheme = url.partition("://")[0].lower()
    return Place(f"{scheme}://{STARS}", hashlib.sha256(url.encode()).hexdigest()[:16], apprise)


def tell(
    engine: Engine, alerts: Sequence[Alert], where: Sequence[Place], console: str | None, now: datetime
) -> AlertReport:
    """Tell every place what it has not heard; return how many alerts were taken and how many not.

    Parameters
    ----------
    engine
        Of the ledger.
    alerts
        What stands now.
    where
        From `places`.
    console
        Where the console is, for links; None is nowhere.
    now
        Aware UTC.
    """
    news = [(place, news_for(engine, alerts, place, now)) for place in where]
    posts = [_Post(place, some, console) for place, some in news if some]
    wait_for_all(posts)
    told = failed = 0
    for post in posts:
        if post.taken:
            told += len(post.alerts)
            _remember(engine, post, now)
        else:
            failed += len(post.alerts)
            log.warning("%d alerts did not reach %s; they are tried again.", len(post.alerts), post.place.shown)
    return AlertReport(told, failed)


def send(where: Sequence[Place], alert: Alert, console: str | None) -> dict[str, bool]:
    """Say something once, without a memory of it; return whether each place took it, by what may be shown of it."""
    posts = [_Post(place, [alert], console) for place in where]
    wait_for_all(posts)
    return {f"{number}. {post.place.shown}": post.taken for number, post in enumerate(posts, start=1)}


def words(alerts: Sequence[Alert], console: str | None) -> tuple[str, str]:
    """Return the title and the text that say some alerts."""
    if len(alerts) == 1:
        return f"Prebuffer: {alerts[0].title}", "\n".join(filter(None, (alerts[0].text, _link(alerts[0], console))))
    lines = ("\n".join(filter(None, (f"{it.title}. {it.text}", _link(it, console)))) for it in alerts)
    return f"Prebuffer: {len(alerts)} things to look at", "\n\n".join(lines)


def _link(alert: Alert, console: str | None) -> str | None:
    return None if console is None else f"{console.rstrip('/')}{alert.path}"


class _Post(Thread):
    """Posts to one place; dies with the process, should the place never answer."""

    def __init__(self, place: Place, alerts: Sequence[Alert], console: str | None) -> None:
        super().__init__(daemon=True)
        self.place = place
        self.alerts = alerts
        self.said = words(alerts, console)
        self.taken = False

    def run(self) -> None:
        """Post; whatever goes wrong in a plugin is a failure to tell, and no more."""
        title, text = self.said
        try:
            taken = self.place.apprise.notify(body=text, title=title, notify_type="warning", body_format="text")
        except Exception as error:  # noqa: BLE001 - a plugin of any of a hundred services
            log.warning("Telling %s failed (%s).", self.place.shown, type(error).__name__)
            return
        self.taken = bool(taken)


def wait_for_all(posts: Sequence[_Post]) -> None:
    """Post everywhere at the same time, and wait no longer than `PATIENCE_S` in all."""
    deadline = time.monotonic() + PATIENCE_S
    for post in posts:
        post.start()
    for post in posts:
        post.join(max(0.0, deadline - time.monotonic()))


def news_for(engine: Engine, alerts: Sequence[Alert], place: Place, now: datetime) -> list[Alert]:
    """Claim what a place has not heard and may be tried now; return it."""
    with engine.connect() as connection:
        heard, waiting = _heard(connection, place, now)
    fresh = [it for it in alerts if not {it.key, it.unless} & heard and it.key not in waiting]
    if not fresh:
        return []
    with writing(engine).begin() as connection:
        return [alert for alert in fresh[:MOST_AT_ONCE] if _claim(connection, alert, place, now)]


def _heard(connection: Connection, place: Place, now: datetime) -> tuple[set[str | None], set[str]]:
    """Return the keys of what a place was told, and of what it must wait for."""
    rows = connection.execute(select(staff_alerts).where(staff_alerts.c.place == place.key)).all()
    told: set[str | None] = {row.alert_key for row in rows if row.told_time is not None}
    return told, {row.alert_key for row in rows if row.told_time is None and row.next_attempt_time > now}


def _claim(connection: Connection, alert: Alert, place: Place, now: datetime) -> bool:
    """Whether nobody else is telling it: the row is theirs until the next attempt is due."""
    new = {"alert_key": alert.key, "place": place.key, "raised_time": now, "attempts": 0, "next_attempt_time": now}
    insert_new(connection, staff_alerts, [new])
    this = (staff_alerts.c.alert_key == alert.key) & (staff_alerts.c.place == place.key)
    due = staff_alerts.c.told_time.is_(None) & (staff_alerts.c.next_attempt_time <= now)
    attempts = connection.scalar(
        update(staff_alerts)
        .where(this, due)
        .values(attempts=staff_alerts.c.attempts + 1)
        .returning(staff_alerts.c.attempts)
    )
    if attempts is None:
        return False
    connection.execute(update(staff_alerts).where(this).values(next_attempt_time=now + WAITS.after(attempts)))
    return True


def _remember(engine: Engine, post: _Post, now: datetime) -> None:
    of = (staff_alerts.c.place == post.place.key) & staff_alerts.c.alert_key.in_([it.key for it in post.alerts])
    with writing(engine).begin() as connection:
        connection.execute(update(staff_alerts).where(of).values(told_time=now))


def untold(connection: Connection) -> int:
    """Count what some place did not take yet."""
    query = select(func.count()).select_from(staff_alerts).where(staff_alerts.c.told_time.is_(None))
    return connection.scalar(query) or 0
