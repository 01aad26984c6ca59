"""The inbox over HTTP: what an app sees, and what nobody else does."""

from __future__ import annotations

import pytest

from incidents.ledger.store import Ledger
from notifiers.cards import update_card


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url, durable=False) as ledger:
        yield ledger


def test_cards_are_listed_newest_first_in_pages(client, put, bearer) -> None:
    for number in range(5):
        put(f"c-{number}", minutes=number)
    first = client.get("/inbox/v1/cards?limit=3", headers=bearer()).json()
    assert [it["card_id"] for it in first["cards"]] == ["c-4", "c-3", "c-2"]
    assert (first["unread"], first["unseen"], first["change"]) == (5, 5, 5)
    put("c-late", minutes=9)
    rest = client.get(f"/inbox/v1/cards?limit=3&cursor={first['next_cursor']}", headers=bearer()).json()
    assert [it["card_id"] for it in rest["cards"]] == ["c-1", "c-0"]
    assert rest["next_cursor"] is None


def test_a_card_says_what_it_says_and_when(client, put, bearer, ledger, clock) -> None:
    put("a", title="<b>Bonjour</b>")
    with ledger.engine.begin() as connection:
        update_card(connection, "u-1", "a", {"title": "It is over"}, clock())
    (card,) = client.get("/inbox/v1/cards", headers=bearer()).json()["cards"]
    assert card == {
        "card_id": "a",
        "version": 2,
        "change": 2,
        "created_time": "2026-03-10T12:00:00+00:00",
        "updated_time": "2026-03-10T12:00:00+00:00",
        "seen_time": None,
        "read_time": None,
        "archived_time": None,
        "unread": True,
        "card": {"title": "It is over"},
    }


def test_marks_count_once(client, put, bearer) -> None:
    put("a"), put("b")
    read = {"mark": "read", "cards": ["a", "unknown"]}
    assert client.post("/inbox/v1/marks", headers=bearer(), json=read).json() == {
        "changed": 1,
        "unread": 1,
        "unseen": 1,
        "change": 3,
    }
    assert client.post("/inbox/v1/marks", headers=bearer(), json=read).json()["changed"] == 0
    client.post("/inbox/v1/marks", headers=bearer(), json={"mark": "archived", "cards": ["b"]})
    assert client.get("/inbox/v1/counts", headers=bearer()).json() == {"unread": 0, "unseen": 0, "change": 4}
    archived = client.get("/inbox/v1/cards?archived=true", headers=bearer()).json()["cards"]
    assert [it["card_id"] for it in archived] == ["b"]


def test_nobody_sees_or_marks_somebody_elses_cards(client, put, bearer) -> None:
    put("a", "u-2")
    assert client.get("/inbox/v1/cards", headers=bearer("u-1")).json()["cards"] == []
    marks = {"mark": "archived", "cards": ["a"]}
    assert client.post("/inbox/v1/marks", headers=bearer("u-1"), json=marks).json()["changed"] == 0
    assert len(client.get("/inbox/v1/cards", headers=bearer("u-2")).json()["cards"]) == 1


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic dTE6"}, {"Authorization": "Bearer"}])
@pytest.mark.parametrize("path", ["cards", "counts", "stream"])
def test_without_a_token_nothing_is_said(client, headers, path) -> None:
    answer = client.get(f"/inbox/v1/{path}", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


WRONG = [
    {},
    {"mark": "loved", "cards": ["a"]},
    {"mark": "read", "cards": []},
    {"mark": "read", "cards": ["a"] * 201},
    {"mark": "read", "cards": ["a" * 65]},
    {"mark": "read", "cards": ["a"], "subscriber_id": "u-2"},
    [],
]


@pytest.mark.parametrize("body", WRONG)
def test_wrong_marks_are_refused(client, bearer, body) -> None:
    assert client.post("/inbox/v1/marks", headers=bearer(), json=body).status_code == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=nonsense", f"cursor={'a' * 201}"])
def test_wrong_pages_are_refused(client, bearer, query) -> None:
    answer = client.get(f"/inbox/v1/cards?{query}", headers=bearer())
    assert answer.status_code == 422
    assert "nonsense" not in answer.text


def test_a_token_has_its_own_pace(serve, app_of, bearer) -> None:
    client = serve(app_of(requests_per_minute=3))
    assert [client.get("/inbox/v1/counts", headers=bearer()).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert 1 <= int(client.get("/inbox/v1/counts", headers=bearer()).headers["retry-after"]) <= 20
    assert client.get("/inbox/v1/counts", headers=bearer("u-2")).status_code == 200


def test_who_guesses_tokens_is_slowed_down(serve, app_of, bearer) -> None:
    client = serve(app_of(address_requests_per_minute=2))
    guesses = [client.get("/inbox/v1/counts", headers={"Authorization": "Bearer x.y.z"}) for _ in range(3)]
    assert [it.status_code for it in guesses] == [401, 401, 429]


def test_only_named_origins_may_call_from_a_browser(serve, app_of, bearer) -> None:
    client = serve(app_of(allowed_origins=["https://app.lumen.example"]))
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    ours = client.options("/inbox/v1/cards", headers={"Origin": "https://app.lumen.example", **asked})
    assert ours.headers["access-control-allow-origin"] == "https://app.lumen.example"
    theirs = client.options("/inbox/v1/cards", headers={"Origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in theirs.headers
