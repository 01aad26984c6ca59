"""One ledger, one provider, and people in trouble: what the benchmarks of sending work on."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

import httpx
from sqlalchemy import func, insert, select

from incidents.ledger.schema import deliveries, incidents, notices, outbox, provider_events, troubles
from incidents.ledger.store import Ledger
from incidents.model import Cause, Severity, Trouble, Verdict
from notifiers.channels import SendGridSettings
from notifiers.compose import Brand
from notifiers.model import Policy
from notifiers.outbox import Outcome, State
from notifiers.settling import listed, settle_by_hand
from telemetry.contract import Signal

MIDNIGHT = time_of_day(0)
POLICY = Policy(holdout_share=0.0, quiet_from=MIDNIGHT, quiet_until=MIDNIGHT)
LEASE = timedelta(seconds=1)
"""Far shorter than in earnest, so that what a killed process leaves behind is met within the run."""
PORTION = 400
SETTINGS = SendGridSettings("SG.bench", "notices@lumen.example", "Lumen", "help@lumen.example")
BRAND = Brand("Lumen")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Scene:
    """One ledger and one provider.

    Parameters
    ----------
    ledger_url, provider_url
        Where they are.
    webhook_url
        Where the provider reports what became of messages, if it does.
    folder
        For settings and logs.
    unheard_after
        After so long, a message of which nothing was heard is sent after all; see `notifiers.deliver.deliver`.
    """

    ledger_url: str
    provider_url: str
    webhook_url: str = ""
    folder: Path = Path()
    unheard_after: timedelta | None = None
    people: int = 0

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger for a moment."""
        with Ledger(self.ledger_url) as ledger:
            yield ledger

    def prepare(self) -> None:
        """Make the tables, and one outage."""
        with self.ledger() as ledger:
            ledger.upgrade()
            empty: dict[str, list[str]] = {
                column.name: [] for column in incidents.c if column.name in ("evidence", "alternatives", "chart")
            }
            row = {
                "incident_id": "inc-1",
                "signal": "buffering",
                "cohort": {},
                "severity": "major",
                "affected_subscribers": 9,
                "cause": "service",
                "cause_probability": 1.0,
                "observed": 9.0,
                "expected": 1.0,
                "sessions": 99,
                "surprise": 9.0,
            }
            times = dict.fromkeys(("onset_time", "detected_time", "updated_time"), now())
            with ledger.write() as connection:
                connection.execute(insert(incidents).values(row | times | empty))

    def top_up(self) -> None:
        """See to it that there is somebody to decide on."""
        with self.ledger() as ledger:
            with ledger.read() as connection:
                waiting = connection.scalar(select(func.count()).where(troubles.c.decided.is_(False))) or 0
            if waiting < PORTION // 2:
                with ledger.write() as connection:
                    ledger.save_troubles(connection, [self._trouble(n) for n in range(PORTION)], now())
                self.people += PORTION

    def _trouble(self, number: int) -> Trouble:
        """Half of the people suffer from the outage, and share its words; half at home."""
        shared = number % 2 == 0
        moment = now()
        return Trouble(
            subscriber_id=f"u-{self.people + number}",
            problem=Signal.BUFFERING,
            verdict=Verdict(Cause.SERVICE if shared else Cause.HOUSEHOLD, 0.95),
            incident_id="inc-1" if shared else None,
            since=moment - timedelta(minutes=30),
            last_bad_time=moment,
            impaired=3,
            sessions=4,
            severity=Severity.MAJOR,
        )

    def states(self) -> Counter[str]:
        """Messages by state, and how many people nobody decided on."""
        with self.ledger() as ledger, ledger.read() as connection:
            by_state = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
            counts: Counter[str] = Counter({row.state: row[1] for row in by_state})
            counts["undecided"] = connection.scalar(select(func.count()).where(troubles.c.decided.is_(False))) or 0
            in_doubt = deliveries.c.outcome.in_([Outcome.UNKNOWN.value, Outcome.LOST.value])
            counts["in doubt"] = connection.scalar(select(func.count()).where(in_doubt)) or 0
            counts["told"] = connection.scalar(select(func.count()).select_from(notices)) or 0
        return counts

    def unfinished(self) -> int:
        """Return how many people, messages and reports are still on their way, or will be heard of."""
        states = self.states()
        on_their_way = sum(states[name] for name in ("queued", "sending", "undecided"))
        unheard = states["unknown"] if self.unheard_after else len(self.unknown() & self.got().keys())
        return on_their_way + unheard + self.reports()["pending"]

    def begin_reports(self) -> None:
        """Let the provider begin to report, and write down for the web process how it signs."""
        key = httpx.post(f"{self.provider_url}/webhook", json=self.webhook_url, timeout=60).json()
        web = {"public_url": "https://notices.lumen.example", "sendgrid_public_key": key}
        self.settings_file().write_text(json.dumps({"ledger": {"url": self.ledger_url}, "web": web}), encoding="utf-8")

    def settings_file(self) -> Path:
        """Return the settings of the web process: JSON is YAML, too."""
        return self.folder / "prebuffer.yaml"

    def reports(self) -> dict[str, int]:
        """Return how the provider's reports fare; see `benchmarks.mail_events.Reporter.counts`."""
        counts: dict[str, int] = httpx.get(f"{self.provider_url}/reports", timeout=60).json()
        return counts

    def wait_for_reports(self) -> None:
        """Wait a while until a report is answered after this, and the next is under way."""
        deadline, before = time.monotonic() + 20.0, self.reports()["answered"]
        while time.monotonic() < deadline:
            counts = self.reports()
            if counts["answered"] > before and counts["open"]:
                return
            time.sleep(0.002)

    def forgotten(self) -> int:
        """Return how many events were taken, in the provider's eyes, and are not in the ledger."""
        taken: list[str] = httpx.get(f"{self.provider_url}/taken", timeout=60).json()
        with self.ledger() as ledger, ledger.read() as connection:
            known = set(connection.scalars(select(provider_events.c.event_id)))
        return len(set(taken) - known)

    def wait_for_sending(self) -> None:
        """Wait a while for messages that were just begun, not those of the dead, so that a kill meets some."""
        deadline = time.monotonic() + 2.0
        with self.ledger() as ledger:
            while time.monotonic() < deadline:
                with ledger.read() as connection:
                    begun = outbox.c.lease_until > now() + 0.9 * LEASE
                    if connection.scalar(select(func.count()).where(begun, outbox.c.state == State.SENDING)):
                        return
                time.sleep(0.002)

    def unknown(self) -> set[str]:
        """Return the messages of which nobody here knows whether they were sent."""
        with self.ledger() as ledger, ledger.read() as connection:
            return {row.message_id for row in listed(connection, State.UNKNOWN, 10**6)}

    def got(self) -> dict[str, int]:
        """Return how often the provider got each message."""
        got: dict[str, int] = httpx.get(f"{self.provider_url}/got", timeout=60).json()
        return got

    def settle_by_hand(self) -> int:
        """Do as a person would with what is left: settle as failed what the provider never got; return how many."""
        never = self.unknown() - self.got().keys()
        with self.ledger() as ledger, ledger.write() as connection:
            for message_id in never:
                settle_by_hand(connection, message_id, State.FAILED, "benchmark", now())
        return len(never)

    def message_ids(self) -> list[str]:
        """Return every message that was to be sent."""
        with self.ledger() as ledger, ledger.read() as connection:
            return list(connection.scalars(select(outbox.c.message_id)))
