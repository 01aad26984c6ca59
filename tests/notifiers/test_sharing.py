"""A shared body with what is personal put in is, letter for letter, the mail composed for that person alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from incidents.ledger.schema import bodies, outbox
from incidents.model import Cause
from notifiers.compose import Composer
from notifiers.links import Links
from notifiers.model import ChannelName
from notifiers.outbox import Message, enqueue, load
from notifiers.sharing import Sharing

PEOPLE = ["Ada", "Bo Ek", None, "", "O'Brien", "A & B", "<b>x</b>", "عائلة", "prebuffernoticex", "Prebuffername"]


def message(words, noon, notice_id) -> Message:
    return Message(
        notice_id, notice_id, "u-1", ChannelName.EMAIL, "a@example.net", words.subject, words.html, words.text,
        words.card, noon, None, 1, words.body_key, words.personal,
    )  # fmt: skip


def alone(composer, context):
    words = composer.compose(context)
    return words.subject, words.html, words.text, words.card


def shared(composer, context, noon):
    mail = message(Sharing(composer).compose(context), noon, context.notice_id).filled()
    return mail.subject, mail.html, mail.text, mail.card


@pytest.mark.parametrize("name", PEOPLE)
def test_whatever_somebody_is_called(name, composer, context, noon):
    ada = context(display_name=name)
    assert shared(composer, ada, noon) == alone(composer, ada)


@settings(max_examples=50, deadline=None)
@given(name=st.text(max_size=50), notice_id=st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=16, max_size=16))
def test_whatever_the_name_and_the_case(name, notice_id, composer, context, noon):
    ada = context(display_name=name, notice_id=notice_id)
    assert shared(composer, ada, noon) == alone(composer, ada)


def test_signed_links_are_put_in_whole_in_whatever_order(composer, context, noon):
    signing = Composer(composer.template_dir, composer.remedies, Links("https://notices.lumen.example", ["x" * 40]))
    ada = context(subscriber_id="u-7", since=noon.replace(second=31))
    words = Sharing(signing).compose(ada)
    turned = replace(words, personal=dict(reversed(words.personal.items())))
    for body in (words, turned):
        mail = message(body, noon, ada.notice_id).filled()
        assert (mail.subject, mail.html, mail.text, mail.card) == alone(signing, ada)
        assert "https://notices.lumen.example/preferences/" in mail.text


def test_people_told_the_same_share_one_body_and_others_do_not(composer, context):
    sharing = Sharing(composer)
    first, second = (sharing.compose(context(display_name=n, notice_id=k * 16)) for n, k in (("Ada", "a"), ("Bo", "b")))
    assert first.body_key == second.body_key
    assert first.personal != second.personal
    assert first.body_key != sharing.compose(context(cause=Cause.ISP)).body_key
    assert len(sharing.bodies) == 2


def test_a_shared_body_is_stored_once_and_each_message_reads_as_if_it_were_alone(
    engine, add_incident, composer, context, decide_one, trouble, noon
):
    add_incident()
    sharing = Sharing(composer)
    decisions = [decide_one(trouble(subscriber_id=who)) for who in ("u-1", "u-2", "u-3")]
    contexts = {d.notice_id: context(notice_id=d.notice_id, display_name=d.trouble.subscriber_id) for d in decisions}
    rendered = sharing.compose_all(contexts.values())
    addresses = {d.trouble.subscriber_id: "a@example.net" for d in decisions}
    with engine.begin() as connection:
        enqueue(connection, decisions, rendered, addresses, noon)
        assert connection.scalar(select(func.count()).select_from(bodies)) == 1
        assert set(connection.scalars(select(outbox.c.html))) == {""}
        for decision in decisions:
            mail = load(connection, decision.notice_id)
            assert (mail.subject, mail.html, mail.text, mail.card) == alone(composer, contexts[decision.notice_id])
        assert load(connection, "nobody") is None


def test_what_is_put_in_is_never_looked_through_again(noon, composer, context):
    words = Sharing(composer).compose(context(display_name="Prebuffername"))
    assert (message(words, noon, "a" * 16)).filled().personal == {}
