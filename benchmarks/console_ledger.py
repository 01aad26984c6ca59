"""A large ledger for the console's benchmark, made by a few statements that both databases understand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Index, MetaData, text
from sqlalchemy.schema import CreateIndex, DropIndex

from incidents.ledger import schema
from incidents.ledger.casework import notice_traits
from incidents.ledger.store import Ledger

START = datetime(2024, 11, 1, tzinfo=UTC)
DAYS = 730
NOW = START + timedelta(days=DAYS, hours=1)
HUGE = "inc-huge"
SUBSCRIBERS = 2_000_000
POINTS = 60
"""Of each chart: five hours."""
MADE = "console_benchmark"


@dataclass(frozen=True)
class Size:
    """How large a ledger is: incidents, notices, and how many of these are of one incident."""

    incidents: int
    notices: int

    @property
    def huge(self) -> int:
        """People of the largest incident."""
        return max(self.notices // 10, 1)


class Words:
    """What the databases say differently.

    Parameters
    ----------
    dialect
        ``sqlite`` or ``postgresql``.
    """

    def __init__(self, dialect: str) -> None:
        self.is_sqlite = dialect == "sqlite"

    def key(self, number: str) -> str:
        """Return a number as sixteen digits."""
        return f"printf('%016d', {number})" if self.is_sqlite else f"lpad(({number})::text, 16, '0')"

    def time(self, seconds: str) -> str:
        """Return the time so many seconds after the start."""
        if self.is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f', {START.timestamp():.0f} + ({seconds}), 'unixepoch') || '000'"
        return f"timestamp '{START:%Y-%m-%d %H:%M:%S}' + ({seconds}) * interval '1 second'"

    def json(self, value: str) -> str:
        """Return a text as JSON."""
        return value if self.is_sqlite else f"({value})::json"

    def numbers(self, count: int) -> str:
        """Return a table ``n`` of the numbers ``i`` below a count, to stand before a statement."""
        if self.is_sqlite:
            return f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})"
        return f"WITH n(i) AS (SELECT * FROM generate_series(0, {count - 1}))"


def make(ledger: Ledger, size: Size) -> None:
    """Fill an empty ledger, without its indexes, and build these after: nothing is safe until it is done."""
    dialect = ledger.engine.dialect
    say = Words(dialect.name)
    ledger.close()  # no other connection may be there when SQLite's journal changes
    with closing(ledger.engine.raw_connection()) as connection:
        cursor = connection.cursor()
        if not say.is_sqlite:
            connection.driver_connection.autocommit = True  # type: ignore[union-attr]
        for index in _indexes():
            cursor.execute(str(DropIndex(index).compile(dialect=dialect)))
        for statement in (*_BEFORE[dialect.name], *_statements(say, size)):
            cursor.execute(statement)  # as it is: colons and per cents are no parameters
        for index in _indexes():
            cursor.execute(str(CreateIndex(index).compile(dialect=dialect)))
        for statement in _AFTER[dialect.name]:
            cursor.execute(statement)
    ledger.close()


_BEFORE = {
    "sqlite": (
        *("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF"),
        *("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA cache_size = -2000000", "PRAGMA threads = 2"),
    ),
    "postgresql": (
        *("SET session_replication_role = replica", "SET maintenance_work_mem = '1GB'"),
        *("SET work_mem = '256MB'", "SET jit = off"),
    ),
}
_AFTER = {
    "sqlite": ("ANALYZE", "PRAGMA locking_mode = NORMAL", "PRAGMA journal_mode = WAL", "SELECT 1 FROM incidents"),
    "postgresql": ("VACUUM ANALYZE", "CHECKPOINT"),
}


def forget_indexes(connection: Connection) -> None:
    """Take away the indexes that the console's pages are made quick by: for the baseline."""
    wanted = {"ix_notices_of_incident", "ix_incidents_listed", "ix_notices_subscriber_id_decided_time"}
    for index in _indexes():
        if index.name in wanted or _name(index) in wanted:
            index.drop(connection)


def _name(index: Index) -> str:
    table = index.table.name if index.table is not None else ""
    return f"ix_{table}_{'_'.join(column.name for column in index.columns)}"


def _indexes() -> Iterator[Index]:
    tables = (schema.incidents, schema.notices, schema.outbox, schema.troubles, schema.contacts, notice_traits)
    for table in tables:
        yield from sorted(table.indexes, key=_name)


def _statements(say: Words, size: Size) -> Iterator[str]:
    yield from (_incidents(say, size), _huge(say, size), _notices(say, size))
    told = min(2 * size.huge, size.notices)
    yield _outbox(say, told)
    yield _troubles(say, size)
    yield _traits(say, size)
    yield _contacts(say, size.notices // 20)


def _incidents(say: Words, size: Size) -> str:
    gap = DAYS * 86400 // size.incidents
    points = [[f"2026-01-01T{i // 12:02d}:{i % 12 * 5:02d}:00+00:00", 50, i % 9, 1.1] for i in range(POINTS)]
    chart = f"'{json.dumps(points)}'"
    cohort = (
        '\'{"cdn": "cdn-\' || (i % 40) || \'", "isp": "Network \' || (i % 500) || \'", '
        '"region": "US-\' || (i % 50) || \'"}\''
    )
    signal = "CASE i % 4 WHEN 0 THEN 'buffering' WHEN 1 THEN 'failure' WHEN 2 THEN 'startup' ELSE 'access' END"
    alternatives = f'\'[{{"cohort": \' || {cohort} || \', "surprise": 40.0, "share": 0.9}}]\''
    evidence = say.json("'[\"Evidence of some length that says why we think so.\"]'")
    resolved = f"CASE WHEN i >= {size.incidents - 30} THEN NULL ELSE {say.time(f'i * {gap} + 9000')} END"
    return f"""{say.numbers(size.incidents)}
        INSERT INTO incidents (incident_id, signal, cohort, onset_time, detected_time, resolved_time, severity,
            affected_subscribers, cause, cause_probability, evidence, observed, expected, sessions, surprise,
            alternatives, chart, updated_time, settled, words)
        SELECT 'inc-' || {say.key("i")}, {signal}, {say.json(cohort)}, {say.time(f"i * {gap}")},
            {say.time(f"i * {gap} + 900")}, {resolved}, CASE WHEN i % 9 = 0 THEN 'major' ELSE 'minor' END,
            90 + i % 400, CASE i % 3 WHEN 0 THEN 'service' WHEN 1 THEN 'isp' ELSE 'app' END, 0.9,
            {evidence}, 80.0, 5.0, 600, 60.0,
            {say.json(alternatives)}, {say.json(chart)}, {say.time(f"i * {gap} + 9000")}, {_false(say)},
            'cdn cdn-' || (i % 40) || ' isp network ' || (i % 500) || ' region us-' || (i % 50)
        FROM n"""


def _huge(say: Words, size: Size) -> str:
    verdict = "cause, cause_probability, evidence, observed, expected, sessions, surprise, alternatives"
    columns = f"{verdict}, chart, settled, words"
    return f"""INSERT INTO incidents (incident_id, signal, cohort, onset_time, detected_time, severity,
            affected_subscribers, updated_time, {columns})
        SELECT '{HUGE}', signal, cohort, {say.time(str(DAYS * 86400 - 7200))}, {say.time(str(DAYS * 86400 - 6600))},
            'critical', {size.huge}, {say.time(str(DAYS * 86400))}, {columns}
        FROM incidents WHERE incident_id = 'inc-' || {say.key("1")}"""


def _of(say: Words, size: Size) -> str:
    """Return which incident a notice is of: the first tenth of the huge one, the others evenly of all."""
    each = max((size.notices - size.huge) // size.incidents, 1)
    return (
        f"CASE WHEN i < {size.huge} THEN '{HUGE}' ELSE 'inc-' || "
        f"{say.key(f'((i - {size.huge}) / {each}) % {size.incidents}')} END"
    )


def _notices(say: Words, size: Size) -> str:
    each = max((size.notices - size.huge) // size.incidents, 1)
    gap = DAYS * 86400 // size.incidents
    moment = (
        f"CASE WHEN i < {size.huge} THEN {DAYS * 86400 - 6600} + i % 3600 "
        f"ELSE (((i - {size.huge}) / {each}) % {size.incidents}) * {gap} + 900 + i % 600 END"
    )
    reason = (
        "CASE WHEN i % 10 < 7 THEN NULL WHEN i % 10 = 7 THEN 'no_consent' "
        "WHEN i % 50 = 8 THEN 'holdout' ELSE 'recovered' END"
    )
    return f"""{say.numbers(size.notices)}
        INSERT INTO notices (notice_id, subscriber_id, episode, kind, decided_time, problem, cause, incident_id,
            channel, withheld_reason, expires_time)
        SELECT {say.key("i")}, 'sub-' || {say.key(f"i % {SUBSCRIBERS}")}, {_of(say, size)}, 'problem',
            {say.time(moment)}, 'buffering', 'service', {_of(say, size)},
            CASE WHEN i % 3 = 0 THEN 'in_app' ELSE 'email' END, {reason},
            {say.time(f"{moment} + 57600")}
        FROM n"""


def _outbox(say: Words, count: int) -> str:
    moment = str(DAYS * 86400 - 3000)
    return f"""INSERT INTO outbox (message_id, notice_id, stage, channel, address, subject, html, text, card, state,
            attempts, queued_time, next_attempt_time, settled_time)
        SELECT notice_id, notice_id, 'first', channel, 'a@example.net', 'Subject', '<p>Words</p>', 'Words',
            {say.json("'{}'")}, CASE WHEN notice_id LIKE '%00' THEN 'queued' ELSE 'sent' END, 1, {say.time(moment)},
            {say.time(moment)}, {say.time(moment)}
        FROM notices WHERE notice_id < {say.key(str(count))} AND withheld_reason IS NULL ORDER BY notice_id"""


def _troubles(say: Words, size: Size) -> str:
    moment = say.time(str(DAYS * 86400 - 6600))
    return f"""INSERT INTO troubles (subscriber_id, episode, kind, found_time, problem, cause, cause_probability,
            evidence, incident_id, severity, since, last_bad_time, impaired, sessions, decided)
        SELECT subscriber_id, episode, kind, decided_time, problem, cause, 0.9, {say.json("'[]'")}, incident_id,
            'minor', {moment}, {moment}, 2, 3, {"1" if say.is_sqlite else "true"}
        FROM notices WHERE notice_id < {say.key(str(size.huge))} ORDER BY subscriber_id"""


def _traits(say: Words, size: Size) -> str:
    return f"""{say.numbers(size.huge)}
        INSERT INTO notice_traits (notice_id, region, language, device_type)
        SELECT {say.key("i")}, 'US-' || (i % 50), 'en', 'web' FROM n"""


def _contacts(say: Words, count: int) -> str:
    span = DAYS * 86400 // max(count, 1)
    return f"""{say.numbers(count)}
        INSERT INTO contacts (contact_id, subscriber_id, contacted_time, channel, reason)
        SELECT {say.key("i")}, 'sub-' || {say.key(f"(i * 7) % {SUBSCRIBERS}")}, {say.time(f"i * {span}")}, 'chat',
            'playback' FROM n"""


def _false(say: Words) -> str:
    return "0" if say.is_sqlite else "false"


def is_made(ledger: Ledger) -> bool:
    """Whether a ledger was filled before, whole."""
    marks = MetaData()
    marks.reflect(ledger.engine, only=lambda name, _: name == MADE)
    return MADE in marks.tables


def mark(ledger: Ledger) -> None:
    """Note that a ledger is filled."""
    with ledger.write() as connection:
        connection.execute(text(f"CREATE TABLE {MADE} (made INTEGER)"))
