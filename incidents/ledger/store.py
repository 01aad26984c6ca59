"""The ledger: incidents, troubles and the windows that were run, in one transactional store.

SQLite in WAL mode by default, PostgreSQL where more than one machine writes. Core statements only: a step
of a replay costs the ledger a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from enum import IntEnum, unique
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    and_,
    bindparam,
    create_engine,
    event,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError

from incidents.ledger import schema
from incidents.ledger.casework import cases
from incidents.ledger.rows import incident_from, incident_row, quality_from, quality_row, trouble_from, trouble_row
from incidents.ledger.rulings import FALSE_ALARM, NO_RULING, ruled, ruled_troubles, rulings
from incidents.model import OWN_PREFIX, Incident, Trouble, TroubleKind
from incidents.quality import QualityNotice
from telemetry.contract import Signal

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another one: far longer than our transactions take, short enough to notice."""
BEGINNINGS = 3
"""How often a transaction that writes is begun before it is given up: SQLite's lock goes to whoever asks at the right
moment, so under load a writer can miss it for long. Nothing has happened yet, so beginning again is harmless."""
_IMMEDIATE = "prebuffer_immediate"
"""Execution option of a connection whose transactions take SQLite's write lock when they begin."""
_MARK_DECIDED = (
    update(schema.troubles)
    .where(
        schema.troubles.c.subscriber_id == bindparam("of_subscriber"),
        schema.troubles.c.episode == bindparam("of_episode"),
        schema.troubles.c.kind == bindparam("of_kind"),
    )
    .values(decided=True)
)


@unique
class Turn(IntEnum):
    """What transactions on PostgreSQL take turns about, by numbers of our own; nobody is kept away who does not ask."""

    WRITING = 7726328
    COUNTING = 7726329
    HEARING = 7726330


class Ledger:
    """The transactional store of incidents, troubles, notices and windows.

    Parameters
    ----------
    url
        SQLAlchemy URL, e.g. ``sqlite:///data/var/ledger.db``.
    durable
        False trades safety against power loss for speed: for a replay's temporary ledger.
    """

    def __init__(self, url: str, *, durable: bool = True) -> None:
        self.url = url
        self.durable = durable

    @cached_property
    def engine(self) -> Engine:
        """The engine, connected on first use; SQLite's is set up for one writer and many readers."""
        engine = create_engine(self.url, hide_parameters=True, json_serializer=_json, json_deserializer=orjson.loads)
        if engine.dialect.name == "sqlite":
            _set_up_sqlite(engine, synchronous="NORMAL" if self.durable else "OFF")
        return engine

    def __enter__(self) -> Self:
        """Use the ledger and close it after."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection of the pool."""
        self.engine.dispose()

    def upgrade(self) -> None:
        """Bring the tables to the newest version; where they are, nothing changes and nobody is waited for."""
        if self._is_newest():
            return
        # Only who makes tables waits for Alembic to load.
        from incidents.ledger.migrating import migrate  # noqa: PLC0415

        with self.write() as connection:
            migrate(connection)

    def _is_newest(self) -> bool:
        newest = max(script.name[1:5] for script in MIGRATIONS.glob("versions/v*.py"))
        with self.read() as connection:
            known = inspect(connection).has_table("alembic_version")
            return known and connection.scalar(text("SELECT version_num FROM alembic_version")) == newest

    def read(self) -> AbstractContextManager[Connection]:
        """Open a connection that sees one state of the ledger and blocks nobody."""
        return self.engine.connect()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write: committed at the end, rolled back on an error.

        Those who use it take turns from the start, so that what one reads first another cannot change before it
        writes. Short ones that need not take turns on PostgreSQL begin with `writing`.
        """
        with transaction(self.engine) as connection:
            take_turns(connection, Turn.WRITING)
            yield connection

    def incident(self, incident_id: str) -> Incident | None:
        """Return one incident, or None if there is no such."""
        found = self._incidents(select(schema.incidents).where(schema.incidents.c.incident_id == incident_id))
        return found[0] if found else None

    def known_incidents(self, resolved_since: datetime, mistaken_since: datetime) -> list[Incident]:
        """Return what detection must know of: the incidents that go on, and those resolved since a moment.

        Those that leads merged into another are among them, for what they struck is explained. What leads called a
        false alarm is left out once it is older than `mistaken_since`: its hours are normal, and are learnt from.
        """
        table = schema.incidents.c
        mistaken = table.incident_id.in_(select(cases.c.incident_id).where(cases.c.verdict == FALSE_ALARM))
        recent = or_(and_(~mistaken, table.resolved_time >= resolved_since), table.resolved_time >= mistaken_since)
        return self._incidents(select(schema.incidents).where(or_(table.resolved_time.is_(None), recent)))

    def open_incidents(self, resolved_since: datetime | None = None) -> list[Incident]:
        """Return the incidents that go on, and those resolved since a moment; none merged into another."""
        table = schema.incidents.c
        known: ColumnElement[bool] = table.resolved_time.is_(None)
        if resolved_since is not None:
            known = or_(known, table.resolved_time >= resolved_since)
        return self._incidents(select(schema.incidents).where(known, table.merged_into.is_(None)))

    def incidents(self, since: datetime | None = None, *, merged: bool = False) -> list[Incident]:
        """Return incidents, earliest first.

        Parameters
        ----------
        since
            Leave out those detected before.
        merged
            Include those that turned out to be part of another.
        """
        query = select(schema.incidents)
        if since is not None:
            query = query.where(schema.incidents.c.detected_time >= since)
        if not merged:
            query = query.where(schema.incidents.c.merged_into.is_(None))
        return self._incidents(query)

    def save_incidents(self, connection: Connection, incidents: Sequence[Incident]) -> None:
        """Insert or replace incidents by their id; what leads ruled on them stands, and what they merged and parted."""
        known = rulings(connection, (incident.incident_id for incident in incidents))
        incidents = [ruled(incident, known.get(incident.incident_id, NO_RULING)) for incident in incidents]
        after_targets = sorted(incidents, key=lambda incident: incident.merged_into is not None)
        rows = [incident_row(incident) for incident in after_targets]
        self._upsert(connection, schema.incidents, rows, keep=("merged_into",))

    def save_troubles(self, connection: Connection, troubles: Sequence[Trouble], found_time: datetime) -> None:
        """Insert troubles, or bring undecided ones up to date; what was decided on stays as it was.

        Parameters
        ----------
        connection
            In a transaction that may write.
        troubles
            At most one of each (subscriber_id, episode, kind).
        found_time
            The end of the window; kept from the first time a trouble was found.
        """
        known = rulings(connection, {trouble.incident_id for trouble in troubles if trouble.incident_id})
        self._upsert(
            connection,
            schema.troubles,
            [trouble_row(trouble, found_time) for trouble in ruled_troubles(troubles, known)],
            keep=("found_time", "decided"),
            where=schema.troubles.c.decided.is_(False),
        )

    def open_quality(self, closed_since: datetime) -> list[QualityNotice]:
        """Return the quality notices that are open, and those whose silence ended since a moment, earliest first."""
        until = schema.quality_notices.c.until
        return self._quality(select(schema.quality_notices).where(or_(until.is_(None), until >= closed_since)))

    def quality_notices(self, since: datetime | None = None) -> list[QualityNotice]:
        """Return the quality notices, earliest first; those detected before `since` are left out."""
        query = select(schema.quality_notices)
        if since is not None:
            query = query.where(schema.quality_notices.c.detected_time >= since)
        return self._quality(query)

    def save_quality(self, connection: Connection, notices: Sequence[QualityNotice]) -> None:
        """Insert or replace quality notices by their id."""
        self._upsert(connection, schema.quality_notices, [quality_row(notice) for notice in notices])

    def undecided_troubles(self, connection: Connection) -> list[Trouble]:
        """Return the troubles that nobody decided on yet, in the order of their keys."""
        rows = connection.execute(
            select(schema.troubles, schema.incidents.c.resolved_time)
            .outerjoin(schema.incidents, schema.troubles.c.incident_id == schema.incidents.c.incident_id)
            .where(schema.troubles.c.decided.is_(False))
            .order_by(*schema.troubles.primary_key)
        )
        return [trouble_from(row) for row in rows.mappings()]

    def mark_decided(self, connection: Connection, troubles: Iterable[Trouble]) -> None:
        """Record that troubles were decided on: they are never handed out again."""
        keys = [
            {
                "of_subscriber": trouble.subscriber_id,
                "of_episode": trouble.episode,
                "of_kind": trouble.kind.value,
            }
            for trouble in troubles
        ]
        if keys:
            connection.execute(_MARK_DECIDED, keys)

    def troubled(self, incident_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return for each incident everybody who had trouble from it, told or not."""
        table = schema.troubles.c
        query = select(table.incident_id, table.subscriber_id).where(
            table.incident_id.in_(incident_ids), table.kind == TroubleKind.PROBLEM.value
        )
        people: dict[str, set[str]] = {incident_id: set() for incident_id in incident_ids}
        with self.read() as connection:
            for incident_id, subscriber_id in connection.execute(query) if incident_ids else ():
                people[incident_id].add(subscriber_id)
        return {incident_id: frozenset(found) for incident_id, found in people.items()}

    def own_troubled(self, since: datetime) -> dict[str, dict[str, datetime]]:
        """Return everybody found since a moment to have a trouble of their own, under ``own:`` and its signal.

        By subscriber the first bad session of the latest one found.
        """
        table = schema.troubles.c
        query = (
            select(table.problem, table.subscriber_id, table.since)
            .where(table.incident_id.is_(None), table.kind == TroubleKind.PROBLEM.value, table.found_time > since)
            .order_by(table.found_time, table.since)
        )
        people: dict[str, dict[str, datetime]] = {OWN_PREFIX + signal: {} for signal in Signal}
        with self.read() as connection:
            for problem, subscriber_id, began in connection.execute(query):
                people[OWN_PREFIX + problem][subscriber_id] = began
        return people

    def told_subscribers(self, incident_id: str) -> frozenset[str]:
        """Return everybody whom we decided to tell about an incident's problem, withheld ones left out."""
        table = schema.notices.c
        query = select(table.subscriber_id).where(
            table.incident_id == incident_id,
            table.kind == TroubleKind.PROBLEM.value,
            table.withheld_reason.is_(None),
        )
        with self.read() as connection:
            return frozenset(connection.scalars(query))

    def _incidents(self, query: Select[Any]) -> list[Incident]:
        ordered = query.order_by(schema.incidents.c.detected_time, schema.incidents.c.incident_id)
        with self.read() as connection:
            return [incident_from(row) for row in connection.execute(ordered).mappings()]

    def _quality(self, query: Select[Any]) -> list[QualityNotice]:
        ordered = query.order_by(schema.quality_notices.c.detected_time, schema.quality_notices.c.notice_id)
        with self.read() as connection:
            return [quality_from(row) for row in connection.execute(ordered).mappings()]

    def _upsert(
        self,
        connection: Connection,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        keep: tuple[str, ...] = (),
        where: ColumnElement[bool] | None = None,
    ) -> None:
        if not rows:
            return
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        statement = insert(table)
        key = [column.name for column in table.primary_key]
        changed = {c.name: statement.excluded[c.name] for c in table.c if c.name not in (*key, *keep)}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed, where=where), list(rows))


def writing(engine: Engine) -> Engine:
    """Return the same engine for short transactions that write: ``with writing(engine).begin() as connection``.

    On SQLite they take the write lock when they begin, so that what one reads before it writes cannot become stale,
    which SQLite would refuse at once. On PostgreSQL they lock no more than the rows that they change.
    """
    return engine.execution_options(**{_IMMEDIATE: True})


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a short transaction that writes, as `writing` does, and begin again where its turn does not come.

    Raises
    ------
    OperationalError
        If it does not come `BEGINNINGS` times.
    """
    with ExitStack() as stack:
        yield _begun(stack, writing(engine))


def take_turns(connection: Connection, turn: Turn, *, shared: bool = False) -> None:
    """Wait for the transactions whose turn it is, and keep others waiting until this one ends.

    Those who share a turn keep only the others waiting. On SQLite whoever writes is alone from the start.
    """
    if connection.dialect.name == "postgresql":
        lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        connection.exec_driver_sql(f"SELECT {lock}({turn.value})")


def _begun(stack: ExitStack, engine: Engine) -> Connection:
    for _ in range(BEGINNINGS - 1):
        with suppress(OperationalError):
            return stack.enter_context(engine.begin())
    return stack.enter_context(engine.begin())


def _json(document: object) -> str:
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS).decode()


def _set_up_sqlite(engine: Engine, synchronous: str) -> None:
    """Set up each connection of `engine` for one writer and many readers, with transactions that we begin."""

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None  # sqlite3 begins no transaction by itself: `begin` below does
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
