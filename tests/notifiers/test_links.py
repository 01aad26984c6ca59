"""Signed links: stable, bound to a purpose, and of no use to anybody who changes them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from notifiers.links import SALT, BadLinkError, Bearer, Links, Purpose

SECRET, NEWER = "the first secret, long enough to sign with", "the second secret, long enough to sign with"
NOTICE = "abcdefghijkl2345"
links = Links("https://notices.example/", [SECRET])


@pytest.mark.parametrize("purpose", Purpose)
def test_a_link_leads_back_to_its_notice_and_person(purpose: Purpose) -> None:
    url = getattr(links, purpose.value)(NOTICE, "u-1")
    head, _, token = url.rpartition("/")
    assert head == f"https://notices.example/{purpose}"
    assert links.read(purpose, token) == Bearer(NOTICE, "u-1")


@given(st.text(min_size=1, max_size=128).filter(lambda it: it.isprintable()))
def test_any_pseudonym_survives_and_needs_no_quoting(subscriber_id: str) -> None:
    token = links.token(Purpose.PREFERENCES, NOTICE, subscriber_id)
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert links.read(Purpose.PREFERENCES, token).subscriber_id == subscriber_id


def test_the_same_notice_has_the_same_link() -> None:
    assert links.case(NOTICE, "u-1") == Links("https://notices.example", [SECRET]).case(NOTICE, "u-1")


def test_a_signature_is_the_one_that_itsdangerous_makes() -> None:
    token = links.token(Purpose.CASE, NOTICE, "u-1")
    theirs = Signer(SECRET, salt=f"{SALT}{Purpose.CASE}", digest_method=hashlib.sha256)
    assert theirs.sign(theirs.unsign(token)).decode() == token


def test_a_link_is_short_and_shows_no_pseudonym() -> None:
    token = links.token(Purpose.UNSUBSCRIBE, NOTICE, "u-123456")
    assert len(token) <= 80
    assert "u-123456" not in token


def test_a_link_is_good_for_its_purpose_only() -> None:
    token = links.token(Purpose.CASE, NOTICE, "u-1")
    for purpose in set(Purpose) - {Purpose.CASE}:
        with pytest.raises(BadLinkError):
            links.read(purpose, token)


@given(st.data())
def test_a_changed_link_is_refused(data: st.DataObject) -> None:
    token = links.token(Purpose.UNSUBSCRIBE, NOTICE, "u-1")
    place = data.draw(st.integers(0, len(token) - 2))  # the last letter has bits that base64 ignores
    letter = data.draw(st.sampled_from("aZ9-_.é ").filter(lambda it: it != token[place]))
    with pytest.raises(BadLinkError):
        links.read(Purpose.UNSUBSCRIBE, token[:place] + letter + token[place + 1 :])


@pytest.mark.parametrize("token", ["", ".", "..", "a" * 5000, "../../etc/passwd", "\x00", "é.é.é"])
def test_nonsense_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(BadLinkError) as raised:
        links.read(Purpose.UNSUBSCRIBE, token)
    assert str(raised.value) == "The link is not one of ours."


def test_a_new_secret_signs_and_the_old_one_still_reads() -> None:
    rotated = Links("https://notices.example", [NEWER, SECRET])
    old = links.token(Purpose.UNSUBSCRIBE, NOTICE, "u-1")
    assert rotated.read(Purpose.UNSUBSCRIBE, old).subscriber_id == "u-1"
    assert rotated.token(Purpose.UNSUBSCRIBE, NOTICE, "u-1") != old
    with pytest.raises(BadLinkError):
        Links("https://notices.example", [NEWER]).read(Purpose.UNSUBSCRIBE, old)
