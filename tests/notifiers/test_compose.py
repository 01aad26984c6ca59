"""The words of every notice, in golden files that are reviewed as prose, and what must hold for all of them.

To accept new words, run the tests once with ``GOLDEN=write`` and read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.model import Cause, TroubleKind
from notifiers.compose import Brand, Composer, Contact, NoticeContext
from notifiers.links import Links
from notifiers.model import Note, Recipient
from telemetry.contract import DENIAL_CLASSES, Signal

GOLDEN = Path(__file__).with_name("golden")
MAX_SUBJECT = 59
MAX_WORDS = 120
OURS = ("service", "app")
WIDE = ("service", "isp", "app")


def problems(cause):
    for signal in Signal:
        if cause != "account" or signal is not Signal.ACCESS:
            yield signal.value, {"cause": Cause(cause), "problem": signal}
    if cause == "account":
        for error_class in (*DENIAL_CLASSES, None):
            changes = {"cause": Cause.ACCOUNT, "problem": Signal.ACCESS, "error_class": error_class}
            yield f"access, {error_class or 'for an unknown reason'}", changes


def all_clears():
    for cause in WIDE:
        for signal in Signal:
            changes = {"kind": TroubleKind.ALL_CLEAR, "cause": Cause(cause), "problem": signal}
            yield f"{signal.value}, {cause}", changes


def corrections():
    for wrong, right in (("household", "service"), ("isp", "app"), ("service", "isp"), ("account", "household")):
        changes = {"kind": TroubleKind.CORRECTION, "wrong_cause": Cause(wrong), "cause": Cause(right)}
        yield f"{right}, not {wrong}", changes
    for wrong in ("household", "isp"):
        changes = {"kind": TroubleKind.RETRACTION, "wrong_cause": Cause(wrong), "cause": Cause(wrong)}
        yield f"no fault at all, not {wrong}", changes


CHAPTERS = {cause.value: list(problems(cause.value)) for cause in Cause}
CHAPTERS |= {"all_clear": list(all_clears()), "correction": list(corrections())}
EVERY = [pytest.param(changes, id=f"{chapter}: {name}") for chapter, each in CHAPTERS.items() for name, changes in each]


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_words_are_the_reviewed_ones(chapter, composer, context):
    parts = [f"# {chapter}\n"]
    for name, changes in CHAPTERS[chapter]:
        rendered = composer.compose(context(**changes))
        parts.append(f"## {name}\nSubject: {rendered.subject}\n\n{rendered.text}")
    check_golden(f"{chapter}.md", "\n".join(parts))


def test_the_page_is_the_reviewed_one(composer, context):
    check_golden("household.html", composer.compose(context(cause=Cause.HOUSEHOLD)).html)


def test_the_card_is_the_reviewed_one(composer, context):
    cards = {
        name: composer.compose(context(**changes)).card
        for name, changes in (
            ("ours", {}),
            ("with steps", {"cause": Cause.HOUSEHOLD}),
            ("all clear", {"kind": TroubleKind.ALL_CLEAR}),
        )
    }
    check_golden("cards.json", json.dumps(cards, indent=2) + "\n")


@pytest.mark.parametrize("changes", EVERY)
def test_every_notice_is_short(changes, composer, context):
    rendered = composer.compose(context(**changes))
    words = [word for word in rendered.text.partition("\n--\n")[0].split() if not word.startswith("http")]
    assert len(rendered.subject) <= MAX_SUBJECT
    assert len(words) <= MAX_WORDS
    assert len(rendered.card["steps"]) <= 3


@pytest.fixture(scope="module")
def signing(composer) -> Composer:
    """A composer whose notices carry signed links."""
    return Composer(composer.template_dir, composer.remedies, Links("https://notices.lumen.example", ["x" * 40]))


SIDES = {
    "service": "(on|was) (our side|ours)",
    "isp": "internet provider's? network|internet provider see",
    "app": "in our (app|web player)",
    "household": "home network or the device",
    "account": "account|plan|payment|sign you in|on offer|this screen",
}
POINTS = {
    "what": r"video|problem that you had",
    "when": r"Monday 9 March, from 20:15 your time",
    "what to do, or nothing": r"^1\. |There is nothing you need to",
    "what we do": r"we will write again|a person will|we are (sorry|watching)|Thank you for",
    "next word": r"when it is over|tell us|is over",
    "reference": r"Reference: ABCD-EFGH-IJKL",
    "reach a person": r"Reply to this mail, or call 0800 123 456.*\n?.*https://help.lumen.example/chat\?case=abcdefghijkl2345",
    "why you got this": r"You get this because you asked Lumen for notices",
    "stop it": r"Stop these notices: https://notices.lumen.example/preferences/abc",
    "genuine": r"Check that this mail is from us: https://notices.lumen.example/genuine/abc",
    "feedback": r"Did this help\?\n.*helped: https://notices.lumen.example/feedback/abc.*\?answer=yes\n"
    r".*\?answer=no\n.*\?answer=no_problem",
}
"""Twelve points, the side by cause among them, that service mails most often lack."""


@pytest.mark.parametrize("changes", EVERY)
def test_every_notice_has_the_twelve_points(changes, signing, context):
    rendered = signing.compose(context(**changes))
    no_fault = changes.get("kind") is TroubleKind.RETRACTION
    points = POINTS | {"whose side": "There was no fault" if no_fault else SIDES[changes["cause"].value]}
    assert len(points) == 12
    assert [name for name, said in points.items() if not re.search(said, rendered.text, re.M | re.I)] == []
    page = visible(rendered.html)
    for line in rendered.text.splitlines():
        assert re.sub(r"^\d\. |: https://\S+$", "", line).removeprefix("--") in page
    links = re.findall(r"https://\S+", rendered.text)
    assert {href for tag, attrs in parsed(rendered.html) if tag == "a" and (href := attrs["href"])} == set(links)


def visible(html: str) -> str:
    page = re.sub(r"<[^>]+>", " ", re.sub(r"</?span[^>]*>", "", html.partition("<body")[2]))
    return " ".join(unescape(page).split())


@pytest.mark.parametrize("changes", EVERY)
def test_no_notice_shouts_promises_or_asks_for_secrets(changes, composer, context):
    rendered = composer.compose(context(**changes))
    said = f"{rendered.subject} {rendered.text}".lower()
    assert "!" not in said
    assert not re.search(r"\b(urgent|critical|alert|warning|asap|guarantee|within|minutes|hours)\b", said)
    assert not re.search(r"(send|tell|give|reply with)[^.]{0,20} your (password|card)", said)
    assert "  " not in rendered.text


@pytest.mark.parametrize("cause", OURS)
@pytest.mark.parametrize("problem", Signal)
def test_our_own_fault_is_no_chore(cause, problem, composer, context):
    rendered = composer.compose(context(cause=Cause(cause), problem=problem))
    assert rendered.card["steps"] == []
    assert "There is nothing you need to do." in rendered.text
    assert "We are sorry." in rendered.text
    assert "we will write again when it is over" in rendered.text
    assert "router" not in rendered.text


def test_a_telephone_is_not_offered_to_who_cannot_use_one(composer, context):
    rendered = composer.compose(context(no_phone=True))
    assert "Reply to this mail, and a person will answer." in rendered.text
    for said in (rendered.text, rendered.html, json.dumps(dict(rendered.card))):
        assert "0800" not in said
        assert "call" not in said


def test_a_number_that_cannot_be_dialled_abroad_is_not_said_there(composer, context):
    world = Brand("Lumen", phone="+44 20 7946 0000", contact=(("GB", Contact(phone="0800 123 456")),))
    assert "0800 123 456" in composer.compose(context(brand=world, country="GB")).text
    assert "+44 20 7946 0000" in composer.compose(context(brand=world, country="DE")).text
    assert "call" not in composer.compose(context(country="DE")).text
    assert "call" not in composer.compose(context(country=None)).text


def test_a_country_may_have_a_chat_of_its_own(composer, context):
    brand = Brand(chat_url="https://all.example", contact=(("DE", Contact(chat_url="https://de.example")),))
    assert "https://de.example?case=" in composer.compose(context(brand=brand, country="DE")).text
    assert "https://all.example?case=" in composer.compose(context(brand=brand, country="FR")).text


def test_a_step_has_its_help_article(composer, context):
    brand = Brand(help_url="https://help.lumen.example/articles/")
    rendered = composer.compose(context(brand=brand, cause=Cause.HOUSEHOLD))
    assert "Better playback at home: https://help.lumen.example/articles/home-network" in rendered.text
    assert rendered.card["article"]["title"] == "Better playback at home"


def test_without_links_a_reply_does_everything(composer, context):
    rendered = composer.compose(context(brand=Brand("Lumen")))
    assert "http" not in rendered.text
    assert "To stop them, reply and say so." in rendered.text
    assert "<a " not in rendered.html
    assert rendered.card["chat_url"] is None


@pytest.mark.parametrize(
    ("timezone", "locale", "said"),
    [
        ("Europe/London", "en-GB", "Monday 9 March, from 20:15 your time"),
        ("America/New_York", "en-US", "Monday, March 9, from 4:15\u00a0PM your time"),
        ("Asia/Tokyo", "en-JP", "Tuesday 10 March, from 05:15 your time"),
        ("Mars/Olympus", "en-GB", "Monday 9 March, from 20:15 UTC"),
        (None, None, "Monday 9 March, from 20:15 UTC"),
    ],
)
def test_times_are_the_persons_own(timezone, locale, said, composer, context):
    assert said in composer.compose(context(timezone=timezone, locale=locale)).text


@pytest.mark.parametrize(
    ("hour", "said"), [(0, "12:05\u00a0AM"), (11, "11:05\u00a0AM"), (12, "12:05\u00a0PM"), (23, "11:05\u00a0PM")]
)
def test_twelve_hour_clocks_turn_at_noon_and_midnight(hour, said, composer, context):
    since = datetime(2026, 3, 9, hour, 5, tzinfo=UTC)
    assert said in composer.compose(context(since=since, timezone="UTC", locale="en-US")).text


@pytest.mark.parametrize("locale", [None, "", "en", "en-DE", "tlh", "../../etc", "tlh_DE.UTF-8", "x" * 35])
def test_a_language_that_is_not_there_falls_back_to_english(locale, composer, context):
    rendered = composer.compose(context(locale=locale))
    assert rendered.card["language"] == "en"
    assert '<html lang="en"' in rendered.html


HOSTILE_NAMES = [
    "",
    "   ",
    None,
    "<script>alert(1)</script>",
    "<b>Loft</b> & co",
    "{{name}}",
    "{% raw %}",
    "%s%n",
    "=1+1",
    "x" * 10_000,
    "12345",
    "http://evil.example",
    "win-a-prize@evil.example",
    "\u202e",
    "\x00",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_what_is_no_name_is_not_greeted(name, composer, context):
    rendered = composer.compose(context(display_name=name))
    assert rendered.text.startswith("Hello,\n")
    assert rendered == composer.compose(context(display_name=None))


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Ada", "Hello Ada,"),
        ("  Ada\n\tLovelace ", "Hello Ada Lovelace,"),
        ('O\'"Neil"', 'Hello O\'"Neil",'),
        ("名無し", "Hello 名無し,"),
        ("José Ñúñez-d’Árc", "Hello José Ñúñez-d’Árc,"),
        ("\u202eemoh tsal", "Hello emoh tsal,"),
        ("عائلة السماء", "Hello \u2068عائلة السماء\u2069,"),
        ("Ada\r\nBcc: x", "Hello,"),
        ("Loft 5 & co", "Hello Loft 5 & co,"),
    ],
)
def test_names_are_said_on_one_line(name, greeting, composer, context):
    assert composer.compose(context(display_name=name)).text.splitlines()[0] == greeting


@settings(deadline=None, max_examples=60)
@given(
    name=st.text(max_size=60),
    brand=st.text(max_size=40),
    device_type=st.text(max_size=20) | st.none(),
    error_class=st.text(max_size=20) | st.none(),
    locale=st.text(max_size=20) | st.none(),
    timezone=st.text(max_size=20) | st.none(),
)
def test_no_text_from_outside_becomes_markup_or_a_new_line(
    name, brand, device_type, error_class, locale, timezone, composer, context
):
    hostile = context(
        display_name=name,
        brand=Brand(f"{brand}<img src=x>"),
        device_type=device_type,
        error_class=error_class,
        locale=locale,
        timezone=timezone,
    )
    plain = composer.compose(context(brand=Brand("Lumen"), timezone="UTC"))
    rendered = composer.compose(hostile)
    assert "<img" not in rendered.html
    assert tags(rendered.html) == tags(plain.html)
    assert len(rendered.text.splitlines()) == len(plain.text.splitlines())
    assert rendered.subject.isprintable()


def parsed(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.seen


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def tags(html: str) -> list[str]:
    return [tag for tag, _ in parsed(html)]


@pytest.mark.parametrize("changes", EVERY)
def test_every_page_is_accessible(changes, composer, context):
    html = composer.compose(context(**changes)).html
    parser = Tags()
    parser.feed(html)
    seen = parser.seen
    assert ("html", "en") in [(tag, attrs.get("lang")) for tag, attrs in seen]
    assert all(attrs.get("role") == "presentation" for tag, attrs in seen if tag == "table")
    assert all(attrs.get("alt") for tag, attrs in seen if tag == "img")
    assert [tag for tag, _ in seen].count("h1") == 1
    assert any(attrs.get("name") == "color-scheme" for tag, attrs in seen if tag == "meta")
    assert "{{" not in html
    assert "{%" not in html
    assert "mj-" not in re.sub(r"mj-(outlook|column)[\w-]*", "", html)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("#1f2933", "#ffffff"),
        ("#3f4a55", "#eef1f4"),
        ("#1f2933", "#e8f0f9"),
        ("#1d4f91", "#eef1f4"),
        ("#1d4f91", "#e8f0f9"),
        ("#1d4f91", "#ffffff"),
        ("#ffffff", "#1d4f91"),
        ("#f1f4f7", "#1b242e"),
        ("#9cc4f5", "#1b242e"),
        ("#9cc4f5", "#12181f"),
        ("#9cc4f5", "#243344"),
        ("#f1f4f7", "#243344"),
    ],
)
def test_colours_can_be_read(text, ground, composer, context):
    html = composer.compose(context()).html
    assert text in html
    assert ground in html
    light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_context_is_gathered_from_a_decision(trouble, person, decide_one, brand):
    decision = decide_one(trouble(device_type="ios", error_class="cdn"))
    context = NoticeContext.of(decision, person(no_phone=True), brand)
    assert context.notice_id == decision.notice_id
    assert (context.device_type, context.error_class) == ("ios", "cdn")
    assert (context.impaired, context.sessions) == (3, 4)
    assert context.no_phone


def test_composing_uses_nothing_but_its_arguments(composer, context):
    assert composer.compose(context()) == composer.compose(replace(context()))
    assert Recipient("u-1").email_opt_in is False


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cause": "gremlins"}, "We do not know the cause yet."),
        ({"problem": "smell"}, "your video did not play as it should"),
        ({"kind": "sermon"}, "The cause is on our side"),
        ({"device_type": "toaster"}, "on your device"),
        ({"error_class": "%(when)s"}, "The cause is on our side"),
        ({"since": None}, "Lately, your video kept pausing"),
        ({"impaired": 0, "sessions": 0}, "on your smart TV. The cause"),
        ({"impaired": 9, "sessions": 2}, "on your smart TV. The cause"),
        ({"impaired": 3, "sessions": 3}, "This happened each of the 3 times you watched."),
        ({"impaired": 1000, "sessions": 2000}, "This happened 1,000 of the 2,000 times you watched."),
    ],
)
def test_what_nobody_thought_of_gets_the_nearest_words(changes, said, composer, context):
    rendered = composer.compose(context(**changes))
    assert said in rendered.text
    assert not re.search(r"%\(|\[\[|\{\{|None", rendered.text + rendered.subject + str(visible(rendered.html)))


def test_ops_hear_of_what_was_odd(composer, context):
    assert composer.compose(context()).notes == ()
    assert composer.compose(context(locale="tlh")).notes == (Note.UNKNOWN_LOCALE,)
    assert composer.compose(context(cause="gremlins")).notes == (Note.UNKNOWN_VERDICT,)


def test_a_context_can_be_a_key(context):
    assert len({context(), context(), context(locale="fr")}) == 2
