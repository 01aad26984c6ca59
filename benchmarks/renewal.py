"""How long people's cards take to follow a new verdict: ``python -m benchmarks.renewal``.

Many people were told of one incident by a card. Windows pass in which nothing changes; then the verdict does, and
windows pass until every card names the new cause, as the pipeline has them: found, written and stored a portion a
transaction. Beside it stands what that costs a card at a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, update

from benchmarks.report import report
from benchmarks.scene import BRAND, Scene, now
from config.remedies import read_remedies
from incidents.ledger.schema import inbox, incidents, notices, troubles
from incidents.ledger.store import Ledger
from incidents.model import TroubleKind
from notifiers.cards import update_card
from notifiers.compose import Composer, NoticeContext
from notifiers.model import Decision, Recipient, notice_id
from notifiers.outbox import filled_card
from notifiers.renewal import ENOUGH, MOST_AT_ONCE, note_told, outdated, renew, to_renew
from notifiers.sharing import Sharing

INCIDENT = "inc-1"
ROWS = 50_000
"""Written at once while the ledger is filled."""
ALONE = 500
"""Cards that are renewed one at a time, for comparison."""


@dataclass
class Window:
    """What one window's renewing took, and how many cards changed.

    Parameters
    ----------
    seconds, cpu_s, longest_s
        In all, by the wall and by this process, and for the longest transaction.
    renewed
        Cards.
    """

    seconds: float = 0.0
    cpu_s: float = 0.0
    longest_s: float = 0.0
    renewed: int = 0


def fill(ledger: Ledger, people: int, moment: datetime) -> None:
    """Tell people by cards."""
    before = moment - timedelta(hours=1)
    about = {"episode": INCIDENT, "kind": "problem", "problem": "buffering", "incident_id": INCIDENT}
    notice = about | {"cause": "service", "channel": "in_app", "decided_time": before}
    notice |= {"expires_time": moment + timedelta(hours=15), "timezone": "Europe/London"}
    card = {"title": "Your video kept pausing", "cause": "service", "body": "It is our fault, and we are on it. " * 9}
    trouble = about | {"cause": "service", "cause_probability": 0.9, "evidence": [], "since": before}
    trouble |= {"last_bad_time": before, "impaired": 3, "sessions": 4, "severity": "major", "decided": True}
    trouble |= {"found_time": before}
    whole = {"card": card, "created_time": before, "version": 1, "change": 1}
    for start in range(0, people, ROWS):
        some = [f"u-{number}" for number in range(start, min(start + ROWS, people))]
        keys = {who: notice_id(who, INCIDENT, TroubleKind.PROBLEM) for who in some}
        with ledger.write() as connection:
            put(connection, notices, (notice | {"notice_id": keys[who], "subscriber_id": who} for who in some))
            put(connection, troubles, (trouble | {"subscriber_id": who} for who in some))
            put(connection, inbox, (whole | {"card_id": keys[who], "subscriber_id": who} for who in some))


def put(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    connection.execute(insert(table), list(rows))


def say(ledger: Ledger, cause: str) -> None:
    """Let detection believe in another cause."""
    with ledger.write() as connection:
        connection.execute(update(incidents).values(cause=cause, cause_probability=0.9))


def written(connection: Connection, keys: Sequence[str], sharing: Sharing, moment: datetime) -> int:
    """Renew some notices in a transaction."""
    found = to_renew(connection, keys)
    contexts = (NoticeContext.of(it, _reader(it), BRAND) for it in found)
    return renew(connection, found, sharing.compose_all(contexts), moment)


def _reader(decision: Decision) -> Recipient:
    who = decision.trouble.subscriber_id
    return Recipient(who, f"{who}@example.net", "Ada", "en-GB", "Europe/London", "GB", True, True)


def pass_window(ledger: Ledger, sharing: Sharing, moment: datetime) -> Window:
    """Renew what one window does, as `config.pipeline` has it."""
    window, begun, cpu = Window(), time.perf_counter(), time.process_time()
    with ledger.read() as connection:
        keys = outdated(connection)
    for start in range(0, max(len(keys), 1), MOST_AT_ONCE):
        at = time.perf_counter()
        with ledger.write() as connection:
            window.renewed += written(connection, keys[start : start + MOST_AT_ONCE], sharing, moment)
            if start == 0:
                note_told(connection, len(keys) <= MOST_AT_ONCE, moment)
        window.longest_s = max(window.longest_s, time.perf_counter() - at)
    window.seconds, window.cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    return window


def one_by_one(ledger: Ledger, sharing: Sharing, moment: datetime) -> float:
    """Return how many cards a second of this process are renewed a card at a time; undoes what it did."""
    with ledger.read() as connection:
        found = to_renew(connection, outdated(connection)[:ALONE])
    begun = time.process_time()
    with ledger.engine.connect() as connection:
        for it in found:
            card = filled_card(sharing.compose(NoticeContext.of(it, _reader(it), BRAND)))
            update_card(connection, it.trouble.subscriber_id, it.notice_id, card, moment)
        connection.rollback()
    return len(found) / (time.process_time() - begun)


def measure(ledger: Ledger, people: int) -> dict[str, float]:
    """Fill a ledger and measure."""
    sharing, moment = Sharing(Composer(Path("templates"), read_remedies())), now()
    fill(ledger, people, moment)
    quiet = [pass_window(ledger, sharing, moment) for _ in range(ENOUGH + 1)]
    say(ledger, "isp")
    alone = one_by_one(ledger, sharing, moment)
    windows: list[Window] = []
    while not windows or windows[-1].renewed:
        windows.append(pass_window(ledger, sharing, moment))
    with ledger.read() as connection:
        right = connection.scalar(
            select(func.count()).select_from(inbox).where(inbox.c.card["cause"].as_string() == "isp")
        )
    renewed = sum(window.renewed for window in windows)
    return {
        "cards": float(people),
        "left_behind": float(people - (right or 0)),
        "windows": float(len(windows) - 1),
        "cards_per_s": renewed / sum(window.seconds for window in windows[:-1]),
        "cards_per_cpu_s": renewed / sum(window.cpu_s for window in windows[:-1]),
        "one_by_one_per_cpu_s": alone,
        "longest_transaction_s": max(window.longest_s for window in windows),
        "look_at_all_s": windows[-1].seconds,
        "unchanged_window_s": quiet[-1].seconds,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.renewal", description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000, help="with a card (1000000)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        Scene(url, "").prepare()
        with Ledger(url) as ledger:
            facts = measure(ledger, options.people)
    rows = [
        (name.replace("_", " "), f"{value:,.3f}" if value < 10 else f"{value:,.0f}") for name, value in facts.items()
    ]
    report("Cards follow a new verdict", ("what", "measured"), rows, facts)
    return int(facts["left_behind"] > 0)


if __name__ == "__main__":
    sys.exit(main())
