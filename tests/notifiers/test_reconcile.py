"""Both directions of suppression lists, every page of them, and what happens when one cannot be read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from threading import Barrier, BrokenBarrierError

import httpx
import pytest
from sqlalchemy import event, insert, select

from incidents.ledger.schema import preferences, suppressions
from incidents.ledger.store import writing
from notifiers.channels import SendGridSettings
from notifiers.compose import Rendered
from notifiers.errors import ChannelPaused, RateLimited, Refused, Retryable
from notifiers.events import apply_events
from notifiers.outbox import enqueue
from notifiers.reconcile import (
    GROUP,
    LISTS,
    PAGE,
    SOURCE,
    TRIES,
    Difference,
    Entry,
    Lists,
    compare,
    read_lists,
    reconcile,
)
from tests.prism import MOCK, playing

EARLIER = datetime(2026, 3, 1, tzinfo=UTC)
ACCOUNT = SendGridSettings(
    "SG.very-secret", "notices@lumen.example", "Lumen", "help@lumen.example", unsubscribe_group=7
)
BY_PATH = {path: reason for reason, path in LISTS.items()} | {GROUP.format(7): "group"}


def row(address, created=EARLIER) -> dict:
    return {"email": address, "created": int(created.timestamp())}


@pytest.fixture
def sendgrid(noon):
    """Answer as an account with these lists does; errors are played first, and every request is noted."""
    clients = []

    def build(errors=(), **lists) -> httpx.Client:
        errors = list(errors)

        def answer(request: httpx.Request) -> httpx.Response:
            build.requests.append(request)
            if errors:
                error = errors.pop(0)
                if isinstance(error, Exception):
                    raise error
                return error
            rows = lists.get(BY_PATH[request.url.path], [])
            if "asm" in request.url.path:
                return httpx.Response(200, json=rows)
            start = int(request.url.params["offset"])
            assert int(request.url.params["limit"]) <= PAGE
            assert int(request.url.params["end_time"]) == int(noon.timestamp())
            return httpx.Response(200, json=rows[start : start + PAGE])

        clients.append(httpx.Client(transport=httpx.MockTransport(answer), base_url="https://sendgrid.example"))
        return clients[-1]

    build.requests = []
    yield build
    for client in clients:
        client.close()


@pytest.fixture
def suppressed(engine):
    """Look into our suppressions, or put some there."""

    def look(**put) -> dict:
        with engine.begin() as connection:
            for name, (reason, source) in put.items():
                values = {"address": f"{name}@example.net", "reason": reason, "since": EARLIER, "source": source}
                connection.execute(insert(suppressions).values(values))
            rows = connection.execute(select(suppressions)).all()
        return {it.address.removesuffix("@example.net"): (it.reason, it.source) for it in rows}

    return look


def test_what_sendgrid_has_and_we_do_not_is_added_each_address_once(engine, sendgrid, suppressed, noon):
    client = sendgrid(
        bounce=[row("Ada@Example.net "), row("bo@example.net")],
        invalid=[row("cy@example.net")],
        spam_report=[row("bo@example.net")],
        unsubscribe=[row("di@example.net")],
        group=["eve@example.net"],
    )
    found = reconcile(engine, client, ACCOUNT, noon)
    reasons = {"ada": "bounce", "bo": "spam_report", "cy": "invalid", "di": "unsubscribe", "eve": "unsubscribe"}
    assert suppressed() == {name: (reason, SOURCE) for name, reason in reasons.items()}
    assert found.added == {"bounce": 1, "spam_report": 1, "invalid": 1, "unsubscribe": 2}
    assert reconcile(engine, client, ACCOUNT, noon).added == {}


def test_a_dry_run_says_the_same_and_writes_nothing(engine, sendgrid, suppressed, noon):
    client = sendgrid(bounce=[row("ada@example.net")])
    dry = reconcile(engine, client, ACCOUNT, noon, dry_run=True)
    assert suppressed() == {}
    assert reconcile(engine, client, ACCOUNT, noon) == dry


def test_a_no_is_also_a_choice_of_the_person_we_wrote_to(
    engine, sendgrid, add_incident, decide_one, trouble, person, noon
):
    add_incident()
    decision = decide_one(trouble(), person())
    with engine.begin() as connection:
        words = {decision.notice_id: Rendered("A subject", "<p>page</p>", "text", {})}
        enqueue(connection, [decision], words, {"u-1": "Ada@example.net"}, noon)
    found = reconcile(
        engine, sendgrid(spam_report=[row("ada@example.net"), row("stranger@example.net")]), ACCOUNT, noon
    )
    assert found.opted_out == 1
    with engine.connect() as connection:
        rows = connection.execute(select(preferences)).all()
    assert {(it.subscriber_id, it.channel, it.allowed, it.changed_time) for it in rows} == {
        ("u-1", "email", False, EARLIER)
    }


def test_the_same_no_may_come_as_an_event_meanwhile(
    engine, sendgrid, add_incident, decide_one, trouble, person, noon, suppressed
):
    """Both write the choice and the suppression, in another order: neither may wait for the other for ever."""
    add_incident()
    decision = decide_one(trouble(), person())
    with writing(engine).begin() as connection:
        words = {decision.notice_id: Rendered("A subject", "<p>page</p>", "text", {})}
        enqueue(connection, [decision], words, {"u-1": "ada@example.net"}, noon)
    no = {"sg_event_id": "e-1", "message_id": decision.notice_id, "event": "spamreport", "timestamp": noon.timestamp()}
    both_wrote = Barrier(2)

    def meet(_connection, _cursor, statement, *_rest) -> None:
        if statement.startswith(("INSERT INTO suppressions", "INSERT INTO preferences")):
            with suppress(BrokenBarrierError):
                both_wrote.wait(0.5)

    def hear() -> None:
        with writing(engine).begin() as connection:
            apply_events(connection, [no], noon)

    event.listen(engine, "after_cursor_execute", meet)
    with ThreadPoolExecutor(2) as pool:
        heard = pool.submit(hear)
        read = pool.submit(reconcile, engine, sendgrid(spam_report=[row("ada@example.net")]), ACCOUNT, noon)
        heard.result()
        assert read.result().listed == {"spam_report": 1}
    assert suppressed()["ada"][0] == "spam_report"


def test_what_only_we_have_stays_but_for_what_came_from_there_and_is_no_persons_no(engine, sendgrid, suppressed, noon):
    kept = {"a": ("bounce", "webhook"), "b": ("unsubscribe", "webhook"), "c": ("spam_report", SOURCE)}
    suppressed(**kept, d=("bounce", SOURCE), e=("invalid", SOURCE))
    found = reconcile(engine, sendgrid(), ACCOUNT, noon)
    assert (found.ours, found.lifted, found.spared) == (3, 2, 0)
    assert suppressed() == kept


@pytest.mark.parametrize(("gone", "lifted", "spared"), [(10, 10, 0), (11, 0, 11)])
def test_too_many_gone_at_once_is_not_believed(gone, lifted, spared):
    known = {f"a{n}@example.net": ("bounce", SOURCE) for n in range(20)}
    theirs = {address: Entry(address, "bounce", EARLIER) for address in list(known)[gone:]}
    found = compare(Lists(theirs), known)
    assert (len(found.lifted), found.spared, found.ours) == (lifted, spared, spared)


def test_two_lists_alike_differ_in_nothing():
    assert (
        compare(Lists({"a@b.example": Entry("a@b.example", "bounce", None)}), {"a@b.example": ("x", "y")})
        == Difference()
    )


@pytest.mark.parametrize("length", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
def test_every_page_is_read(length, sendgrid, noon):
    rows = [row(f"a{n}@example.net") for n in range(length)]
    assert len(read_lists(sendgrid(bounce=rows), ACCOUNT, noon).entries) == length
    asked = [it for it in sendgrid.requests if it.url.path == LISTS["bounce"]]
    assert len(asked) == length // PAGE + 1


def test_a_server_that_does_not_turn_pages_is_not_read_for_ever(noon):
    page = [row(f"a{n}@example.net") for n in range(PAGE)]
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    with httpx.Client(transport=transport, base_url="https://x.example") as client, pytest.raises(ChannelPaused):
        read_lists(client, ACCOUNT, noon)


def test_without_a_group_none_is_asked_for(sendgrid, noon):
    read_lists(sendgrid(), SendGridSettings("SG.x", "a@b.example", "B", "r@b.example"), noon)
    assert {it.url.path for it in sendgrid.requests} == set(LISTS.values())


@pytest.mark.parametrize(
    "junk", [None, 7, [], {}, {"email": None}, {"email": "nobody"}, {"email": "a@b\nc.example"}, {"created": 1}]
)
def test_a_row_that_is_none_is_counted(junk, sendgrid, noon):
    found = read_lists(sendgrid(bounce=[junk, row("ada@example.net")]), ACCOUNT, noon)
    assert (len(found.entries), found.malformed) == (1, 1)


@pytest.mark.parametrize("created", [None, "x", -(10**20), -1, 10**20, True, {}])
def test_a_time_that_makes_no_sense_is_no_time_or_not_later_than_now(created, sendgrid, noon):
    client = sendgrid(bounce=[{"email": "ada@example.net", "created": created}])
    (entry,) = read_lists(client, ACCOUNT, noon).entries.values()
    assert entry.since is None or entry.since <= noon


SLOW_DOWN = {"X-RateLimit-Reset": "1773057660", "Date": "Mon, 09 Mar 2026 12:00:59 GMT"}


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (httpx.Response(429, headers=SLOW_DOWN), [1.0]),
        (httpx.Response(429, headers={"Retry-After": "3600"}), [60.0]),
        (httpx.Response(429), [2.0]),
        (httpx.Response(503), [2.0]),
        (httpx.Response(200, content=b"<html>"), [2.0]),
        (httpx.Response(200, json={"errors": []}), [2.0]),
        (httpx.ReadTimeout("slow"), [2.0]),
    ],
    ids=["429 with a reset", "429 with an hour", "429", "503", "no JSON", "no list", "no answer"],
)
def test_what_passes_is_waited_for(error, waits, sendgrid, noon):
    waited = []
    found = read_lists(sendgrid([error], bounce=[row("ada@example.net")]), ACCOUNT, noon, waited.append)
    assert len(found.entries) == 1
    assert waited == waits


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.Response(401), ChannelPaused),
        (httpx.Response(403), ChannelPaused),
        (httpx.Response(400), Refused),
    ],
    ids=["401", "403", "400"],
)
def test_what_does_not_pass_ends_it_at_once_with_nothing_written(error, kind, engine, sendgrid, suppressed, noon):
    suppressed(d=("bounce", SOURCE))
    with pytest.raises(kind, match="was not read"):
        reconcile(engine, sendgrid([error], spam_report=[row("a@example.net")]), ACCOUNT, noon, sleep=pytest.fail)
    assert set(suppressed()) == {"d"}


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (500, Retryable)])
def test_patience_has_an_end(status, kind, sendgrid, noon):
    waited = []
    with pytest.raises(kind):
        read_lists(sendgrid([httpx.Response(status)] * TRIES), ACCOUNT, noon, waited.append)
    assert waited == [2.0, 4.0, 8.0, 16.0]


@pytest.mark.prism
def test_sendgrids_description_accepts_what_we_ask_and_nothing_else(engine, suppressed, noon, tmp_path):
    with (
        playing(MOCK / "suppressions.json", tmp_path / "log") as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer SG.x"}) as client,
    ):
        found = reconcile(engine, client, ACCOUNT, noon)
        refused = client.get(LISTS["bounce"], params={"limit": PAGE + 1}).status_code
    assert found.malformed == 0
    assert found.listed["bounce"] == 2
    assert len(suppressed()) == sum(found.added.values()) == sum(found.listed.values())
    assert refused in {400, 422}
