"""Live streams: heard at once whoever writes, resumed without a gap, and closed to who may not listen."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from console.web import inbox, streams
from incidents.ledger.store import Ledger
from notifiers.cards import Mark, mark_cards
from tests.serving import wait_for
from tests.web.conftest import put_into


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url, durable=False) as ledger:
        yield ledger


class Reader:
    """Reads server-sent events from an open answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.lines = answer.iter_lines()

    def next(self) -> tuple[str, int | None, dict]:
        """Return the next event: its name, its id and its data; signs of life are passed over."""
        name, number, data = "", None, None
        for line in self.lines:
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                number = int(value)
            elif key == "data":
                data = json.loads(value)
            elif not line and data is not None:
                return name, number, data
        raise EOFError

    def until(self, wanted: str) -> list[tuple[str, int | None, dict]]:
        """Return the events up to one of a name."""
        found = [self.next()]
        while found[-1][0] != wanted:
            found.append(self.next())
        return found


@contextmanager
def listening(client: httpx.Client, headers: dict, query: str = "") -> Iterator[Reader]:
    with client.stream("GET", f"/inbox/v1/stream{query}", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield Reader(answer)


def ids(events: list) -> list[str]:
    return [data["card_id"] for name, _, data in events if name == "card"]


def test_a_card_that_another_process_writes_is_heard(client, put, bearer, ledger) -> None:
    put("old")
    with listening(client, bearer()) as reader:
        assert reader.next() == ("ready", 1, {"change": 1})
        with Ledger(ledger.url) as another:
            put_into(another, "new")
        heard = reader.until("counts")
    assert ids(heard) == ["new"]
    assert heard[-1] == ("counts", 2, {"unread": 2, "unseen": 2, "change": 2})


def test_marks_made_elsewhere_are_heard(client, put, bearer, ledger, clock) -> None:
    put("a")
    with listening(client, bearer()) as reader:
        reader.next()
        with ledger.engine.begin() as connection:
            mark_cards(connection, "u-1", ["a"], Mark.READ, clock())
        heard = reader.until("counts")
    assert heard[0][2]["read_time"] is not None
    assert heard[-1][2]["unread"] == 0


@pytest.mark.parametrize("how", ["header", "query"])
def test_after_a_cut_nothing_is_missed_and_nothing_old_is_told(client, put, bearer, how) -> None:
    put("a"), put("b"), put("c")
    headers, query = (bearer() | {"Last-Event-ID": "1"}, "") if how == "header" else (bearer(), "?after=1")
    with listening(client, headers, query) as reader:
        heard = reader.until("counts")
        assert ids(heard) == ["b", "c"]
        assert [number for name, number, _ in heard if name == "card"] == [None, None]
        put("d")
        assert ids(reader.until("counts")) == ["d"]


@pytest.mark.parametrize("nonsense", ["", "x", "-1", "1.5", "9" * 40])
def test_nonsense_to_resume_from_is_none(client, put, bearer, nonsense) -> None:
    put("a")
    with listening(client, bearer() | {"Last-Event-ID": nonsense}) as reader:
        assert reader.next() == ("ready", 1, {"change": 1})


def test_who_is_far_behind_or_ahead_lists_anew(client, put, bearer, monkeypatch) -> None:
    monkeypatch.setattr(streams, "MOST_BEHIND", 2)
    for card_id in "abcd":
        put(card_id)
    for known in (1, 99):
        with listening(client, bearer(), f"?after={known}") as reader:
            assert reader.until("reset")[-1] == ("reset", 4, {"unread": 4, "unseen": 4, "change": 4})


def test_nobody_hears_of_somebody_else(client, put, bearer) -> None:
    with listening(client, bearer("u-1")) as one, listening(client, bearer("u-2")) as two:
        put("for-2", "u-2"), put("for-1", "u-1")
        assert ids(one.until("counts")) == ["for-1"]
        assert ids(two.until("counts")) == ["for-2"]


def test_a_stream_ends_with_its_token(client, bearer, clock, monkeypatch) -> None:
    monkeypatch.setattr(inbox, "BEAT_S", 0.05)
    with listening(client, bearer()) as reader:
        reader.next()
        clock.forward(hours=2)
        assert reader.next()[0] == "over"
        with pytest.raises(EOFError):
            reader.next()


def test_silence_has_signs_of_life(client, bearer, monkeypatch) -> None:
    monkeypatch.setattr(inbox, "BEAT_S", 0.05)
    with client.stream("GET", "/inbox/v1/stream", headers=bearer()) as answer:
        assert any(line == ": beat" for line in answer.iter_lines())


def test_one_more_stream_of_a_subscriber_ends_their_oldest(serve, app_of, bearer) -> None:
    client = serve(app_of(streams_per_subscriber=2))
    with listening(client, bearer()) as first, listening(client, bearer()), listening(client, bearer()) as last:
        assert first.next()[0] == last.next()[0] == "ready"
        with pytest.raises(EOFError):
            first.next()


def test_too_many_streams_are_refused_for_now(serve, app_of, bearer) -> None:
    client = serve(app_of(streams=1))
    with listening(client, bearer("u-1")):
        refused = client.get("/inbox/v1/stream", headers=bearer("u-2"))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")


def test_who_leaves_is_forgotten(serve, app_of, bearer) -> None:
    app = app_of()
    client = serve(app)
    with listening(client, bearer()) as reader:
        reader.next()
        assert len(app.state.web.streams._open) == 1
    wait_for(lambda: not app.state.web.streams._open)
    assert app.state.web.streams._count == 0


def test_who_takes_nothing_is_dropped(serve, app_of, bearer, put, ledger, monkeypatch) -> None:
    monkeypatch.setattr(inbox, "SLOW_S", 0.3)
    monkeypatch.setattr(inbox, "BEAT_S", 0.05)
    app = app_of()
    client = serve(app)
    raw = socket.create_connection((client.base_url.host, client.base_url.port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.sendall(
        f"GET /inbox/v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer()['Authorization']}\r\n\r\n".encode()
    )
    wait_for(lambda: app.state.web.streams._open)
    for number in range(30):
        put(f"c-{number}", body="x" * 200_000)
    wait_for(lambda: not app.state.web.streams._open)
    raw.close()


def test_a_ledger_that_is_away_for_a_while_ends_no_stream(serve, app_of, bearer, put, monkeypatch, caplog) -> None:
    monkeypatch.setattr(streams, "AFTER_A_FAULT_S", 0.05)
    app = app_of()
    client, hub = serve(app), app.state.web.streams
    with listening(client, bearer()) as reader:
        reader.next()
        ledger, hub.ledger = hub.ledger, Ledger("sqlite:////nowhere/at/all.db")
        wait_for(lambda: "cannot read the ledger" in caplog.text)
        hub.ledger = ledger
        put("a")
        assert ids(reader.until("counts")) == ["a"]
