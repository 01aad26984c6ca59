"""Compares our suppressions with SendGrid's lists, for what the webhook missed.

Both directions:

- What SendGrid has and we do not is suppressed, with the source `reconciliation`. Where it is a person's no, and the
  address is one that we wrote to, the choice is also written where the preferences page shows it.
- What we have and SendGrid does not is counted and stays: a no that somebody said to us is none of SendGrid's business.
  The one exception is what came from there alone, by an earlier reconciliation, and is about the address and not the
  person (a bounce, an invalid address): when somebody at the company takes it off SendGrid's list, it is lifted here.

Blocks are not read: they pass by themselves, as in `notifiers.events`. Source: "Suppressions", Twilio SendGrid API
reference v3, 2026.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from sqlalchemy import Connection, Engine, delete, func, select

from incidents.ledger.among import among
from incidents.ledger.schema import notices, outbox, suppressions
from incidents.ledger.store import Turn, take_turns, writing
from notifiers.address import is_deliverable, normalised
from notifiers.channels.sendgrid import SendGridSettings, failure
from notifiers.errors import ChannelError, ChannelPaused, RateLimited, Retryable
from notifiers.insert import insert_new
from notifiers.model import ChannelName
from notifiers.preferences import Source, choose
from notifiers.provider_time import provider_time
from notifiers.waits import Waits

SOURCE = "reconciliation"
LISTS = {
    "spam_report": "/v3/suppression/spam_reports",
    "unsubscribe": "/v3/suppression/unsubscribes",
    "bounce": "/v3/suppression/bounces",
    "invalid": "/v3/suppression/invalid_emails",
}
"""SendGrid's lists by the reason that is kept. An address on several has the first: a person's no goes before."""
GROUP = "/v3/asm/groups/{}/suppressions"
"""Who left our own group of notices: a list of bare addresses, in one answer."""
A_NO = ("spam_report", "unsubscribe")
OF_THE_ADDRESS = ("bounce", "invalid")
PAGE = 500
"""Entries of one answer: the most that SendGrid gives."""
TRIES = 5
WAITS = Waits(timedelta(seconds=2), timedelta(minutes=1))
"""After an answer that is none; SendGrid itself may ask for no longer, either."""
MOST_LIFTED = 0.2
"""Share of what could be lifted. More at once looks like a wrong account or an emptied list: then nothing is."""
FEW = 10
"""So many may always be lifted."""

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Entry:
    """One address on one of SendGrid's lists, and since when, if it says."""

    address: str
    reason: str
    since: datetime | None


@dataclass(frozen=True)
class Lists:
    """What SendGrid has: entries by address, and how many of its rows were none."""

    entries: Mapping[str, Entry]
    malformed: int = 0


@dataclass(frozen=True)
class Difference:
    """What a reconciliation does.

    Parameters
    ----------
    missing
        On SendGrid's lists and not among our suppressions.
    ours
        How many we have and SendGrid has not; they stay.
    lifted
        Addresses that an earlier reconciliation brought and SendGrid has no more.
    spared
        How many would have been lifted, but were too many at once.
    """

    missing: tuple[Entry, ...] = ()
    ours: int = 0
    lifted: tuple[str, ...] = ()
    spared: int = 0


@dataclass(frozen=True)
class Reconciliation:
    """What one reconciliation found and did.

    Parameters
    ----------
    listed
        Addresses that SendGrid has, by reason.
    added
        Those that were suppressed now, by reason.
    ours
        Suppressions that SendGrid does not have: counted, not removed.
    lifted, spared
        Suppressions that were lifted, and those that were too many to be.
    opted_out
        People whose no was also written among their choices.
    malformed
        Rows of SendGrid's that are no address: ignored.
    """

    listed: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)
    ours: int = 0
    lifted: int = 0
    spared: int = 0
    opted_out: int = 0
    malformed: int = 0


def reconcile(
    engine: Engine,
    client: httpx.Client,
    settings: SendGridSettings,
    now: datetime,
    *,
    dry_run: bool = False,
    sleep: Sleep = time.sleep,
) -> Reconciliation:
    """Read SendGrid's lists, compare, and write the difference in one transaction.

    It takes turns with events, which write the same things in another order.

    Parameters
    ----------
    engine
        Of the ledger.
    client, settings
        As of `notifiers.channels.SendGrid`; the group is read where the settings name one.
    now
        Aware UTC; entries made later wait for the next time.
    dry_run
        Only say what would be done.
    sleep
        Waits so many seconds before a request is tried again.

    Raises
    ------
    ChannelError
        If a list could not be read to its end; then nothing was written.
    """
    theirs = read_lists(client, settings, now, sleep)
    with engine.connect() if dry_run else writing(engine).begin() as connection:
        if not dry_run:
            take_turns(connection, Turn.HEARING)
        found = compare(theirs, _known(connection))
        opted_out = 0 if dry_run else _apply(connection, found, now)
    return Reconciliation(
        listed=dict(Counter(entry.reason for entry in theirs.entries.values())),
        added=dict(Counter(entry.reason for entry in found.missing)),
        ours=found.ours,
        lifted=len(found.lifted),
        spared=found.spared,
        opted_out=opted_out,
        malformed=theirs.malformed,
    )


def compare(theirs: Lists, known: Mapping[str, tuple[str, str]]) -> Difference:
    """Return what is missing here, what stays, and what is lifted.

    Parameters
    ----------
    theirs
        From `read_lists`.
    known
        Our suppressions: reason and source by address.
    """
    missing = tuple(entry for address, entry in sorted(theirs.entries.items()) if address not in known)
    here_alone = sorted(known.keys() - theirs.entries.keys())
    mirrored = [address for address in known if _is_mirrored(*known[address])]
    gone = tuple(address for address in here_alone if _is_mirrored(*known[address]))
    too_many = len(gone) > max(FEW, MOST_LIFTED * len(mirrored))
    lifted = () if too_many else gone
    return Difference(missing, len(here_alone) - len(lifted), lifted, len(gone) - len(lifted))


def _is_mirrored(reason: str, source: str) -> bool:
    return source == SOURCE and reason in OF_THE_ADDRESS


def _known(connection: Connection) -> dict[str, tuple[str, str]]:
    rows = connection.execute(select(suppressions.c.address, suppressions.c.reason, suppressions.c.source))
    return {row.address: (row.reason, row.source) for row in rows}


def _apply(connection: Connection, found: Difference, now: datetime) -> int:
    rows = [
        {"address": entry.address, "reason": entry.reason, "since": entry.since or now, "source": SOURCE}
        for entry in found.missing
    ]
    insert_new(connection, suppressions, rows)
    if found.lifted:
        mirrored = (suppressions.c.source == SOURCE) & suppressions.c.reason.in_(OF_THE_ADDRESS)
        connection.execute(delete(suppressions).where(among(suppressions.c.address, found.lifted), mirrored))
    return _write_choices(connection, {entry.address: entry for entry in found.missing if entry.reason in A_NO}, now)


def _write_choices(connection: Connection, noes: Mapping[str, Entry], now: datetime) -> int:
    """Write people's noes among their choices; whoever we never wrote to has none."""
    whose = outbox.join(notices, notices.c.notice_id == outbox.c.notice_id)
    address = func.lower(func.trim(outbox.c.address))
    query = select(address.label("address"), notices.c.subscriber_id).select_from(whose).distinct()
    people: dict[str, datetime] = {}
    for row in connection.execute(query.where(among(address, noes.keys()))) if noes else ():
        since = noes[row.address].since or now
        people[row.subscriber_id] = max(since, people.get(row.subscriber_id, since))
    for subscriber_id, since in sorted(people.items()):
        choose(connection, subscriber_id, False, Source.PROVIDER, since, channels=[ChannelName.EMAIL])
    return len(people)


def read_lists(client: httpx.Client, settings: SendGridSettings, now: datetime, sleep: Sleep = time.sleep) -> Lists:
    """Read every list to its end; parameters and errors as of `reconcile`."""
    rows: list[tuple[str, object]] = []
    get = _Getting(client, settings, sleep)
    for reason, path in LISTS.items():
        rows += ((reason, row) for row in get.pages(path, now))
    if settings.unsubscribe_group is not None:
        rows += (("unsubscribe", row) for row in get.rows(GROUP.format(settings.unsubscribe_group), {}))
    read = [_entry(reason, row, now) for reason, row in rows]
    entries: dict[str, Entry] = {}
    for entry in sorted((it for it in read if it is not None), key=_weight):
        entries.setdefault(entry.address, entry)
    return Lists(entries, read.count(None))


def _weight(entry: Entry) -> int:
    return list(LISTS).index(entry.reason)


@dataclass(frozen=True)
class _Getting:
    """Reads from SendGrid with patience: reading twice harms nobody."""

    client: httpx.Client
    settings: SendGridSettings
    sleep: Sleep

    def pages(self, path: str, now: datetime) -> Iterator[object]:
        """Read a list page by page. What is added meanwhile is later than `now` and moves no page."""
        offset, before = 0, None
        while True:
            page = self.rows(path, {"limit": PAGE, "offset": offset, "end_time": int(now.timestamp())})
            if page and page == before:
                raise ChannelPaused(f"SendGrid gives the same page of {path} again and again.")
            yield from page
            if len(page) < PAGE:
                return
            offset, before = offset + PAGE, page

    def rows(self, path: str, query: Mapping[str, int]) -> list[object]:
        """Read one answer, which must be a list; try again where that may help."""
        for attempt in range(1, TRIES):
            try:
                return self._once(path, query)
            except Retryable as error:
                asked = error.retry_after if isinstance(error, RateLimited) else None
                self.sleep(min(asked or WAITS.after(attempt), WAITS.longest).total_seconds())
        return self._once(path, query)

    def _once(self, path: str, query: Mapping[str, int]) -> list[object]:
        headers = {"Authorization": f"Bearer {self.settings.api_key}", "Accept": "application/json"}
        try:
            response = self.client.get(path, params=query, headers=headers)
        except httpx.TransportError as error:
            raise Retryable(f"SendGrid was not reached ({type(error).__name__}).") from error
        if response.status_code != httpx.codes.OK:
            raise _unread(failure(response), path)
        try:
            rows = response.json()
        except ValueError:
            rows = None
        if not isinstance(rows, list):
            raise Retryable(f"SendGrid's answer to {path} is not a list.")
        return rows


def _unread(error: ChannelError, path: str) -> ChannelError:
    """Say which list it was: a key may be allowed to send and not to read."""
    error.args = (f"{error} {path} was not read.",)
    return error


def _entry(reason: str, row: object, now: datetime) -> Entry | None:
    """Return a row of a list as an entry; the group's are bare addresses."""
    address = row.get("email") if isinstance(row, Mapping) else row
    if not isinstance(address, str) or not is_deliverable(normalised(address)):
        return None
    return Entry(
        normalised(address), reason, provider_time(row.get("created"), now) if isinstance(row, Mapping) else None
    )
