"""The gates again, from the ledger alone, for messages whose notices were decided a while ago.

Asked again, in the order of `notifiers.decide`: expired, recovered, an all-clear's problem notice, contacts with
support, choices, the address, suppressions, the holdout, what else the person heard meanwhile, then what only puts off:
planned events, quiet hours and stages. A mail that follows a card is asked besides whether the card was seen. Stops and
budgets hold whole channels back; see `notifiers.stops` and `notifiers.budget`.

What may speak against some is read for all of them at once, a table at a time; what it means for one of them the gates
themselves are asked. Of a thousand most need not be asked at all: see `notifiers.crowd`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from incidents.ledger.among import among
from incidents.ledger.casework import expected_incidents, silences
from incidents.ledger.schema import TROUBLE_OF_NOTICE, inbox, incidents, notices, outbox, troubles
from incidents.model import TroubleKind
from incidents.silences import SilenceKind
from notifiers.address import normalised
from notifiers.history import LOOK_BACK, contacts_of, past_rows, suppressed_among
from notifiers.model import History
from notifiers.outbox import Stage
from notifiers.preferences import choices_of
from notifiers.rollout import in_charge
from notifiers.standing import Affair, Known, Standing
from telemetry.time import Window


def standings(
    connection: Connection,
    query: Select[Any],
    now: datetime | None = None,
    parameters: Mapping[str, object] | None = None,
) -> list[Standing]:
    """Load how some messages stand now.

    Parameters
    ----------
    connection
        To the ledger; only read.
    query
        Which messages: from `of_notices`.
    now
        Load what else their people heard, too, as of this moment.
    parameters
        Of the query.
    """
    return _standing(connection, connection.execute(query, parameters).all(), now)


def of_notices(which: ColumnElement[bool]) -> Select[Any]:
    """Select the messages that meet a condition on `notices` and `outbox`."""
    return _OF_NOTICES.where(which)


def standings_of(connection: Connection, message_ids: Collection[str], now: datetime | None = None) -> list[Standing]:
    """Load how some messages stand now, found by their keys however many others there are; see `standings`."""
    theirs = among(outbox.c.message_id, message_ids)
    return _standing(connection, connection.execute(_OF_MESSAGES.where(theirs)).all(), now)


def _standing(connection: Connection, rows: Sequence[Row[Any]], now: datetime | None) -> list[Standing]:
    if not rows:
        return []
    known = _known(connection, rows, now)
    return [Standing(row, known) for row in rows]


_COLUMNS = select(
    *(column for column in notices.c if column is not notices.c.release_time),
    outbox.c.message_id,
    outbox.c.stage,
    outbox.c.address,
    outbox.c.channel.label("by"),
    *(troubles.c[name] for name in ("severity", "since", "last_bad_time", "error_class")),
)
_OF_NOTICES = _COLUMNS.select_from(
    notices.outerjoin(outbox, outbox.c.notice_id == notices.c.notice_id).outerjoin(troubles, TROUBLE_OF_NOTICE)
)
_OF_MESSAGES = _COLUMNS.select_from(
    outbox.join(notices, outbox.c.notice_id == notices.c.notice_id).outerjoin(troubles, TROUBLE_OF_NOTICE)
)
"""An outer join would have SQLite read every notice."""


def _known(connection: Connection, rows: Sequence[Row[Any]], now: datetime | None) -> Known:
    people = sorted({row.subscriber_id for row in rows})
    addresses = {normalised(row.address) for row in rows if row.address is not None}
    since = min((row.since for row in rows if row.since is not None), default=None)
    news = [row for row in rows if row.kind == TroubleKind.PROBLEM.value]
    return Known(
        affairs=affairs_of(connection, {row.incident_id for row in rows} - {None}),
        history=History(
            suppressed=suppressed_among(connection, addresses),
            choices=choices_of(connection, people),
            contacts={} if since is None else contacts_of(connection, people, since),
            rollouts=in_charge(connection, {row.episode for row in rows}),
        ),
        problems=_problems(connection, [row.notice_id for row in rows if row.kind != TroubleKind.PROBLEM.value]),
        seen=_seen(connection, [row.notice_id for row in rows if row.stage == Stage.FOLLOW_UP]),
        past={} if now is None else _past(connection, sorted({row.subscriber_id for row in news}), now),
    )


def affairs_of(connection: Connection, ids: Collection[str]) -> dict[str, Affair]:
    """Return how some incidents stand."""
    found = connection.execute(_AFFAIRS, {"ids": ids}) if ids else ()
    return {row.incident_id: _affair(row) for row in found}


def _affairs_query() -> Select[Any]:
    whole = incidents.alias("whole")
    joined = (
        incidents.outerjoin(whole, whole.c.incident_id == incidents.c.merged_into)
        .outerjoin(expected_incidents, expected_incidents.c.incident_id == incidents.c.incident_id)
        .outerjoin(silences, silences.c.silence_id == expected_incidents.c.silence_id)
    )
    return (
        select(
            incidents.c.incident_id,
            incidents.c.merged_into,
            incidents.c.resolved_time,
            whole.c.resolved_time.label("whole_resolved_time"),
            *(silences.c[name] for name in ("kind", "from_time", "until_time", "ended_time")),
        )
        .select_from(joined)
        .where(among(incidents.c.incident_id, "ids"))
    )


_AFFAIRS = _affairs_query()


def _affair(row: Row[Any]) -> Affair:
    """One that was merged lives on in the other."""
    ended = row.resolved_time if row.merged_into is None else row.whole_resolved_time
    planned = None
    if row.kind is not None:
        until = min(row.ended_time or row.until_time, row.until_time)
        planned = Window(row.from_time, until) if row.from_time < until else None
    return Affair(
        over=ended is not None,
        whole_goes_on=row.merged_into is not None and row.whole_resolved_time is None,
        whole=row.merged_into,
        planned=planned,
        only_prices=row.kind == SilenceKind.PRICE_CHANGE.value,
    )


def _problems(connection: Connection, all_clears: Sequence[str]) -> dict[str, Row[Any]]:
    found = connection.execute(_PROBLEMS, {"ids": all_clears}) if all_clears else ()
    return {row.all_clear_id: row for row in found}


def _problems_query() -> Select[Any]:
    problem, message = notices.alias("problem"), outbox.alias("message")
    same_episode = (
        (problem.c.subscriber_id == notices.c.subscriber_id)
        & (problem.c.episode == notices.c.episode)
        & (problem.c.kind == TroubleKind.PROBLEM.value)
    )
    its_first = (message.c.notice_id == problem.c.notice_id) & (message.c.stage == Stage.FIRST.value)
    return (
        select(
            notices.c.notice_id.label("all_clear_id"),
            problem.c.withheld_reason,
            problem.c.release_time,
            message.c.state,
        )
        .select_from(notices.join(problem, same_episode).outerjoin(message, its_first))
        .where(among(notices.c.notice_id, "ids"))
    )


_PROBLEMS = _problems_query()


def _seen(connection: Connection, cards: Sequence[str]) -> frozenset[str]:
    if not cards:
        return frozenset()
    seen = select(inbox.c.card_id).where(among(inbox.c.card_id, cards), inbox.c.seen_time.is_not(None))
    return frozenset(connection.scalars(seen))


def _past(connection: Connection, people: Sequence[str], now: datetime) -> dict[str, list[Row[Any]]]:
    """Return what was lately decided about those of some people who have more than one notice."""
    of_one = select(notices.c.subscriber_id).where(
        among(notices.c.subscriber_id, people), notices.c.decided_time >= now - LOOK_BACK
    )
    several = of_one.group_by(notices.c.subscriber_id).having(func.count() > 1)
    return past_rows(connection, list(connection.scalars(several)), now)
