"""A pipeline on temporary stores, over a few hand-made events, with a detector simple enough to foresee."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.pipeline import Pipeline, Writing
from config.remedies import read_remedies
from detectors.finding import Cohort
from incidents.ledger.store import Ledger
from incidents.model import Cause, Incident, Severity, Trouble, Verdict
from incidents.watch import Detection
from notifiers.channels import InApp, Mailbox
from notifiers.compose import Brand, Composer
from notifiers.model import ChannelName, Policy
from telemetry.contract import Signal
from telemetry.time import Window, naive_utc, utc
from telemetry.warehouse import Warehouse

T0 = datetime(2026, 3, 9, 14, tzinfo=UTC)
STEP = timedelta(minutes=15)
EVENTS = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_time", pa.timestamp("us")),
        ("received_time", pa.timestamp("us")),
        ("session_id", pa.string()),
        ("subscriber_id", pa.string()),
        ("event", pa.string()),
        ("error_class", pa.string()),
        ("cdn", pa.string()),
    ]
)
PEOPLE = pa.schema(
    [
        ("subscriber_id", pa.string()),
        ("email", pa.string()),
        ("display_name", pa.string()),
        ("locale", pa.string()),
        ("timezone", pa.string()),
        ("country", pa.string()),
        ("region", pa.string()),
        ("email_opt_in", pa.bool_()),
        ("in_app_opt_in", pa.bool_()),
        ("no_phone", pa.bool_()),
        ("created_at", pa.timestamp("us")),
    ]
)


def failing(subscriber, when, session="s"):
    """Two events of an attempt that fails."""
    row = {
        "event_time": naive_utc(when),
        "received_time": naive_utc(when + timedelta(seconds=5)),
        "session_id": f"{subscriber}-{session}",
        "subscriber_id": subscriber,
        "cdn": "cdn-b",
    }
    key = f"{subscriber}-{session}-{when:%H%M}"
    return [
        row | {"event_id": f"{key}-1", "event": "play_requested", "error_class": None},
        row | {"event_id": f"{key}-2", "event": "play_failed", "error_class": "cdn"},
    ]


def person(subscriber, **columns):
    """A subscriber who agrees to everything."""
    return {
        "subscriber_id": subscriber,
        "email": f"{subscriber}@example.com",
        "display_name": "Sam",
        "locale": "en",
        "timezone": "UTC",
        "country": "GB",
        "region": "GB-ENG",
        "email_opt_in": True,
        "in_app_opt_in": True,
        "no_phone": False,
        "created_at": naive_utc(T0),
    } | columns


@dataclass
class FailureDetector:
    """Opens one incident at the first failure; everybody with a failure in the window is in trouble."""

    connection: object

    def detect(self, window, known, troubled, quality=()):
        rows = self.connection.execute(
            "SELECT subscriber_id, min(first_time), max(last_time), sum(failed) FROM slices "
            "WHERE changed_time = ? AND failed > 0 GROUP BY 1 ORDER BY 1",
            [naive_utc(window.end)],
        ).fetchall()
        if not rows and not known:
            return Detection()
        incident = known[0] if known else self._open(window, rows)
        people = troubled.get(incident.incident_id, ())
        return Detection(
            () if known else (incident,),
            tuple(self._trouble(incident, *row) for row in rows if row[0] not in people),
        )

    def _open(self, window, rows):
        return Incident(
            incident_id=f"inc-{window.key}",
            signal=Signal.FAILURE,
            cohort=Cohort.of({"cdn": "cdn-b"}),
            onset_time=utc(min(row[1] for row in rows)),
            detected_time=window.end,
            resolved_time=None,
            severity=Severity.MINOR,
            affected_subscribers=len(rows),
            verdict=Verdict(Cause.SERVICE, 0.9, ("Only cdn-b fails.",)),
            observed=len(rows),
            expected=0.5,
            sessions=len(rows),
            surprise=9.0,
            updated_time=window.end,
        )

    def _trouble(self, incident, subscriber, first, last, failed):
        return Trouble(
            subscriber_id=subscriber,
            problem=incident.signal,
            verdict=incident.verdict,
            incident_id=incident.incident_id,
            since=utc(first),
            last_bad_time=utc(last),
            impaired=failed,
            sessions=failed,
        )


@dataclass
class Desk:
    """Stores in a folder, and a clock that the test sets."""

    folder: object
    ledger: Ledger
    time: datetime = T0 + timedelta(hours=1)

    def put(self, events, people=(), name="part"):
        """Write and ingest a world."""
        world = self.folder / f"world-{name}"
        (world / "playback").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(events), EVENTS), world / "playback" / f"{name}.parquet")
        if people:
            pq.write_table(pa.Table.from_pylist(list(people), PEOPLE), world / "subscribers.parquet")
        with self.pipeline() as pipeline:
            pipeline.ingest(world)

    def pipeline(self, **options):
        """A new pipeline on the same stores, as another process would open it."""
        parts = {
            "ledger": self.ledger,
            "open_warehouse": lambda: Warehouse(self.folder / "warehouse.duckdb"),
            "make_detector": lambda warehouse: FailureDetector(warehouse.connection),
            "clock": lambda: self.time,
            "policy": Policy(holdout_share=0.0),
            "writing": Writing(Composer(self.templates, read_remedies()), Brand()),
            "channels": self.channels,
        }
        return _Opened(Pipeline(**parts | options))

    @property
    def templates(self):
        return self.folder / "templates"

    @property
    def channels(self):
        mailbox = Mailbox(self.folder / "mailbox", self.templates)
        return {ChannelName.EMAIL: mailbox, ChannelName.IN_APP: InApp(self.ledger.engine)}

    def mails(self):
        """The names of the mails that were sent."""
        return sorted(path.name for path in (self.folder / "mailbox").glob("*.eml"))


@dataclass
class _Opened:
    pipeline: Pipeline

    def __enter__(self):
        return self.pipeline

    def __exit__(self, *_):
        self.pipeline.close_warehouse()


@pytest.fixture
def desk(tmp_path, sqlite_url, root):
    (tmp_path / "templates").symlink_to(root / "templates")
    with Ledger(sqlite_url) as ledger:
        yield Desk(tmp_path, ledger)


@pytest.fixture
def windows():
    """Four windows from T0."""
    return Window(T0, T0 + 4 * STEP).split(STEP)


@pytest.fixture
def fails():
    return failing


@pytest.fixture
def subscriber():
    return person
