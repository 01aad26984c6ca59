"""How fast notices are decided, stored and sent: ``python -m benchmarks.delivery``.

All against one server on loopback, in one run. Notices of an outage share their words and go up to a thousand a
request; those of single people go one by one, to a server that answers as late as one some way off. The same bodies
posted by a bare ``httpx.Client``, which remembers nothing and has as many requests in flight, and by SendGrid's own
client, which opens a connection for each and waits for its answer, are what that is compared with. What a recipient of
a shared notice takes of the processor stands beside what finding, beginning and recording alone take of it. With
``--history`` the ledger already holds the notices of two years.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import httpx
from sendgrid import SendGridAPIClient
from sqlalchemy import insert, true, update

from benchmarks.console_ledger import Size, make
from benchmarks.crashes import ledgers
from benchmarks.mail_server import running
from benchmarks.report import report
from benchmarks.scene import BRAND, POLICY, SETTINGS, Scene, now
from config.remedies import read_remedies
from incidents.ledger.schema import bodies, outbox
from incidents.ledger.store import Ledger, transaction
from incidents.model import Cause, Severity, Trouble, Verdict
from notifiers.attempts import Result, begin, due, record
from notifiers.channels import SendGrid
from notifiers.channels.sendgrid import SEND_PATH
from notifiers.compose import Composer, NoticeContext
from notifiers.decide import decide
from notifiers.deliver import BATCH, deliver
from notifiers.history import load_history
from notifiers.model import ChannelName, Recipient
from notifiers.outbox import Lease, Message, Outcome, State, Words, enqueue, stored
from notifiers.sharing import Sharing
from telemetry.contract import Signal

PORTION = 5_000
NOTICES_AN_INCIDENT = 100
"""Of what a ledger already holds."""
NAMES = ("Ada", "Bo", "Cem", "Dag", "Eve", "Flo", "Gus", "Ida")
AIMS = {
    "decided_per_s": "5,000",
    "shared_recipients_per_s": "50,000",
    "individual_over_httpx": "0.9, as many in flight",
    "individual_over_sdk": "several",
}


def people_of(count: int, start: int = 0) -> dict[str, Recipient]:
    """Return invented people."""
    names = [f"u-{start + number}" for number in range(count)]
    return {
        who: Recipient(who, f"{who}@example.net", NAMES[n % len(NAMES)], "en-GB", "Europe/London", "GB", True, True)
        for n, who in enumerate(names)
    }


def trouble_of(who: str, moment: datetime, cause: Cause) -> Trouble:
    """Return a trouble of somebody: of the outage, or their own."""
    return Trouble(
        subscriber_id=who,
        problem=Signal.BUFFERING,
        verdict=Verdict(cause, 0.95),
        incident_id="inc-1" if cause is Cause.SERVICE else None,
        since=moment - timedelta(minutes=30),
        last_bad_time=moment,
        impaired=3,
        sessions=4,
        severity=Severity.MAJOR,
    )


def decide_and_queue(ledger: Ledger, count: int, cause: Cause, start: int = 0) -> float:
    """Decide on people, compose and store, a portion a transaction; return how many a second."""
    sharing, moment = Sharing(Composer(Path("templates"), read_remedies())), datetime.now(UTC)
    everyone = people_of(count, start)
    found = [trouble_of(who, moment, cause) for who in everyone]
    begun = time.perf_counter()
    for at in range(0, count, PORTION):
        some = found[at : at + PORTION]
        recipients = {trouble.subscriber_id: everyone[trouble.subscriber_id] for trouble in some}
        with ledger.write() as connection:
            decisions = decide(some, recipients, load_history(connection, some, recipients, moment), POLICY, moment)
            contexts = (NoticeContext.of(d, recipients[d.trouble.subscriber_id], BRAND) for d in decisions)
            words = sharing.compose_all(contexts)
            addresses = {who: str(person.email) for who, person in recipients.items()}
            enqueue(connection, decisions, words, addresses, moment)
    return count / (time.perf_counter() - begun)


def send_all(ledger: Ledger, client: httpx.Client, in_flight: int) -> float:
    """Send what is queued; return how many people a second."""
    channels = {ChannelName.EMAIL: SendGrid(SETTINGS, client)}
    begun = time.perf_counter()
    lease = Lease(duration=timedelta(minutes=2))
    done = deliver(ledger.engine, channels, now, 10**9, lease=lease, policy=POLICY, in_flight=in_flight)
    return sum(done.states.values()) / (time.perf_counter() - begun)


def write_all(ledger: Ledger) -> None:
    """Find, begin and record what is queued, a thousand at a time; ask no gate and send nothing."""
    lease, known = Lease(), dict[str, Words]()
    while True:
        with transaction(ledger.engine) as connection:
            found = due(connection, now(), [ChannelName.EMAIL], BATCH, known).messages
            begin(connection, found, now(), lease)
        if not found:
            return
        with transaction(ledger.engine) as connection:
            record(connection, [Result(found, Outcome.SENT, provider_message_id="m")], now())


def measure_shared(ledger: Ledger, provider: str, senders: int, in_flight: int) -> tuple[float, float]:
    """Send what is queued by so many processes; return how long it took, and the processor's seconds."""
    context = get_context("spawn")
    ready, spent = context.Barrier(senders + 1), context.SimpleQueue()
    crew = [context.Process(target=_send, args=(ledger.url, provider, in_flight, ready, spent)) for _ in range(senders)]
    for process in crew:
        process.start()
    ready.wait()
    begun = time.perf_counter()
    used = sum(spent.get() for _ in crew)
    took = time.perf_counter() - begun
    for process in crew:
        process.join()
    return took, used


def _send(url: str, provider: str, in_flight: int, ready: Barrier, spent: SimpleQueue[float]) -> None:
    """Be one of them."""
    with Ledger(url) as ledger, httpx.Client(base_url=provider) as client:
        ready.wait()
        before = time.process_time()
        send_all(ledger, client, in_flight)
        spent.put(time.process_time() - before)


def make_alone(ledger: Ledger) -> None:
    """Let no message go together with another: each gets words of its own, kept where words are."""
    with ledger.write() as connection:
        for message in map(Message.filled, stored(connection, true())):
            words = {"subject": message.subject, "html": message.html, "text": message.text, "card": {}}
            connection.execute(insert(bodies).values(body_key=message.message_id, **words))
            mine = outbox.c.message_id == message.message_id
            connection.execute(update(outbox).where(mine).values(body_key=message.message_id, personal=None))


def requests_of(ledger: Ledger) -> list[bytes]:
    """Return the requests that deliver sends for what is queued, one for each message."""
    with httpx.Client() as client, ledger.read() as connection:
        channel = SendGrid(SETTINGS, client)
        return [channel.encoded(message) for message in stored(connection, true())]


def post_all(requests: Sequence[bytes], client: httpx.Client, in_flight: int) -> float:
    """Post bodies with a bare client; return how many a second."""
    headers = {"Authorization": "Bearer SG.bench", "Content-Type": "application/json"}

    def post(some: Sequence[bytes]) -> None:
        for body in some:
            client.post(SEND_PATH, content=body, headers=headers).raise_for_status()

    begun = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(post, [requests[start::in_flight] for start in range(in_flight)]))
    return len(requests) / (time.perf_counter() - begun)


def post_by_sdk(requests: Sequence[bytes], url: str) -> float:
    """Post bodies with SendGrid's own client; return how many a second."""
    import orjson  # noqa: PLC0415 - only to give the client what it wants

    sdk = SendGridAPIClient("SG.bench", host=url)
    documents = [orjson.loads(body) for body in requests]
    begun = time.perf_counter()
    for document in documents:
        sdk.client.mail.send.post(request_body=document)
    return len(documents) / (time.perf_counter() - begun)


def prepared(url: str, history: int = 0) -> Ledger:
    """Return a new ledger with an outage in it, and as many notices of earlier ones."""
    Scene(url, "").prepare()
    ledger = Ledger(url)
    if history:
        make(ledger, Size(max(history // NOTICES_AN_INCIDENT, 1), history))
        waiting = outbox.c.state == State.QUEUED.value
        with ledger.write() as connection:
            connection.execute(update(outbox).where(waiting).values(state=State.SENT.value))
    return ledger


def measure_individual(fresh: Callable[[], str], url: str, count: int, rounds: int, in_flight: int) -> dict[str, float]:
    """Measure the three ways in turn, several times, and return the medians."""
    rates: dict[str, list[float]] = {"deliver": [], "httpx": [], "sdk": []}
    for number in range(rounds):
        with prepared(fresh()) as ledger, httpx.Client(base_url=url) as client:
            decide_and_queue(ledger, count, Cause.HOUSEHOLD)
            make_alone(ledger)
            requests = requests_of(ledger)
            ways: dict[str, Callable[[], float]] = {
                "httpx": lambda: post_all(requests, client, in_flight),  # noqa: B023 - called before the next round
                "deliver": lambda: send_all(ledger, client, in_flight),
                "sdk": lambda: post_by_sdk(requests[: count // 4], url),  # noqa: B023
            }
            for name in list(ways) if number % 2 else reversed(list(ways)):
                rates[name].append(ways[name]())
    return {name: statistics.median(found) for name, found in rates.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--people", type=int, default=40_000, help="of the outage (40000)")
    parser.add_argument("--history", type=int, default=0, help="notices in the ledger before that (none)")
    parser.add_argument("--individual", type=int, default=3_000, help="people with words of their own, a round (3000)")
    parser.add_argument("--rounds", type=int, default=3, help="of sending them (3)")
    parser.add_argument("--in-flight", type=int, default=8, help="requests at once (8)")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds until a single mail is answered (0.02)")
    parser.add_argument("--database", default="sqlite", help="sqlite or postgresql (sqlite)")
    parser.add_argument("--senders", type=int, default=1, help="processes that send what is shared (1)")
    options = parser.parse_args(arguments)
    with ledgers(options.database) as fresh, running(counting=False) as url:
        with prepared(fresh(), options.history) as ledger:
            decided = decide_and_queue(ledger, options.people, Cause.SERVICE)
            took, used = measure_shared(ledger, url, options.senders, options.in_flight)
        with prepared(fresh(), options.history) as ledger:
            decide_and_queue(ledger, options.people, Cause.SERVICE)
            before = time.process_time()
            write_all(ledger)
            written = time.process_time() - before
        with running(counting=False, delay_s=options.delay) as late:
            one = measure_individual(fresh, late, options.individual, options.rounds, options.in_flight)
    facts = {
        "decided_per_s": decided,
        "shared_recipients_per_s": options.people / took,
        "shared_cpu_us": used / options.people * 1e6,
        "ledger_alone_cpu_us": written / options.people * 1e6,
        "individual_per_s": one["deliver"],
        "httpx_per_s": one["httpx"],
        "sdk_per_s": one["sdk"],
        "individual_over_httpx": one["deliver"] / one["httpx"],
        "individual_over_sdk": one["deliver"] / one["sdk"],
    }
    rows = [
        (name, f"{value:,.2f}" if value < 100 else f"{value:,.0f}", AIMS.get(name, "")) for name, value in facts.items()
    ]
    report("Deciding and sending", ("measure", "reached", "aim"), rows, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
