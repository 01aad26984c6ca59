"""Is it genuine? Yes for what we sent, by link and by reference, and nothing about anybody either way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from sqlalchemy import update

from console.web.genuine import ANSWER_S, TRIES_A_MINUTE
from incidents.ledger import schema
from notifiers.links import Purpose
from notifiers.model import reference

UNKNOWN = "We know of no such message"
PERSONAL = ("u-1", "Ada", "example.net", "isp-a", "smart_tv", "buffering")


@pytest.fixture
def look_up(client):
    return lambda typed: client.post("/genuine", data={"reference": typed})


@pytest.mark.parametrize("change", [str, str.lower, lambda it: it.replace("-", ""), lambda it: f" {it} "])
def test_a_reference_is_found_as_people_type_it(look_up, tell, change) -> None:
    answer = look_up(change(reference(tell())))
    assert answer.status_code == 200
    assert "Yes, this message is from us" in answer.text
    assert "On Tuesday 10 March we sent an e-mail about a playback problem." in answer.text
    assert not [it for it in PERSONAL if it in answer.text]


@pytest.mark.parametrize("kind", ["all_clear", "correction", "retraction"])
def test_the_answer_says_what_kind_of_message_it_was(look_up, tell, kind) -> None:
    shown = look_up(reference(tell(kind=kind))).text
    assert ("was over." in shown, "corrected an earlier one." in shown) == (kind == "all_clear", kind != "all_clear")


@pytest.mark.parametrize(
    "typed",
    ["", "ABCD-EFGH-2345", "%", "' OR 1=1 --", "<script>alert(1)</script>", "\x00", "٣" * 12, "A" * 4000, "0" * 12],
)
def test_what_we_did_not_send_is_not_ours_and_is_not_repeated(look_up, tell, typed) -> None:
    tell()
    answer = look_up(typed)
    assert (answer.status_code, UNKNOWN in answer.text) == (200, True)
    assert "<script>alert" not in answer.text


def test_a_notice_that_was_withheld_was_not_sent(look_up, tell) -> None:
    assert UNKNOWN in look_up(reference(tell(sent=False))).text


@pytest.mark.parametrize(
    ("state", "is_ours"), [("queued", False), ("failed", False), ("unknown", True), ("sent", True)]
)
def test_a_message_is_ours_as_soon_as_it_may_have_arrived(look_up, tell, ledger, state, is_ours) -> None:
    key = tell()
    with ledger.write() as connection:
        connection.execute(update(schema.outbox).values(state=state))
    assert (UNKNOWN not in look_up(reference(key)).text) is is_ours


def test_every_answer_takes_as_long(look_up, tell) -> None:
    known = reference(tell())
    look_up(known)

    def took(typed: str) -> float:
        start = monotonic()
        look_up(typed)
        return monotonic() - start

    assert all(ANSWER_S <= took(it) < ANSWER_S + 0.5 for it in (known, "ABCD-EFGH-2345", "nonsense"))


def test_references_cannot_be_tried_in_masses(look_up) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: look_up("ABCD-EFGH-2345").status_code, range(TRIES_A_MINUTE + 5)))
    assert codes.count(200) <= TRIES_A_MINUTE
    assert 429 in codes


def test_a_link_says_the_same(client, links, tell) -> None:
    token = links.token(Purpose.GENUINE, tell(), "u-1")
    answer = client.get(f"/genuine/{token}", headers={"accept-language": "en"})
    assert "Yes, this message is from us" in answer.text
    assert not [it for it in PERSONAL if it in answer.text]


def test_a_link_to_what_is_not_there_or_anothers_is_of_no_use(client, links, tell) -> None:
    key = tell()
    for token in (links.token(Purpose.GENUINE, key, "u-2"), links.token(Purpose.GENUINE, "nothing", "u-1")):
        assert UNKNOWN in client.get(f"/genuine/{token}").text
    for token in (links.token(Purpose.CASE, key, "u-1"), "x", "%00"):
        assert client.get(f"/genuine/{token}").status_code == 404
