"""The words of every notice, in golden files that are reviewed as prose, and what must hold for all of them.

To accept new words, run the tests once with ``GOLDEN=write`` and read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.model import Cause, TroubleKind
from notifiers.compose import Brand, NoticeContext
from notifiers.model import Recipient
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


CHAPTERS = {cause.value: list(problems(cause.value)) for cause in Cause} | {"all_clear": list(all_clears())}
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
    words = [word for word in rendered.text.split() if not word.startswith("http") and word != "--"]
    assert len(rendered.subject) <= MAX_SUBJECT
    assert len(words) <= MAX_WORDS
    assert len(rendered.card["steps"]) <= 3


@pytest.mark.parametrize("changes", EVERY)
def test_every_notice_has_what_a_person_needs(changes, composer, context):
    text = composer.compose(context(**changes)).text
    assert "20:15 your time" in text
    assert "Monday 9 March" in text
    assert "ABCD-EFGH-IJKL" in text
    assert "Reply to this mail or call 0800 123 456." in text
    assert "https://help.lumen.example/chat?case=abcdefghijkl2345" in text
    assert "You get this because" in text
    assert "https://lumen.example/notices?notice=abcdefghijkl2345" in text


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
    assert "Reply to this mail." in rendered.text
    for said in (rendered.text, rendered.html, json.dumps(dict(rendered.card))):
        assert "0800" not in said
        assert "call" not in said


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
        ("America/New_York", "en-US", "Monday 9 March, from 4:15 pm your time"),
        ("Asia/Tokyo", "en-JP", "Tuesday 10 March, from 05:15 your time"),
        ("Mars/Olympus", "en-GB", "Monday 9 March, from 20:15 UTC"),
        (None, None, "Monday 9 March, from 20:15 UTC"),
    ],
)
def test_times_are_the_persons_own(timezone, locale, said, composer, context):
    assert said in composer.compose(context(timezone=timezone, locale=locale)).text


@pytest.mark.parametrize(("hour", "said"), [(0, "12:05 am"), (11, "11:05 am"), (12, "12:05 pm"), (23, "11:05 pm")])
def test_twelve_hour_clocks_turn_at_noon_and_midnight(hour, said, composer, context):
    since = datetime(2026, 3, 9, hour, 5, tzinfo=UTC)
    assert said in composer.compose(context(since=since, timezone="UTC", locale="en-US")).text


@pytest.mark.parametrize("locale", [None, "", "en", "en-DE", "tlh", "../../etc", "de_DE.UTF-8", "x" * 35])
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


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def tags(html: str) -> list[str]:
    parser = Tags()
    parser.feed(html)
    return [tag for tag, _ in parser.seen]


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
        ("#4a5560", "#ffffff"),
        ("#1d4f91", "#ffffff"),
        ("#ffffff", "#1d4f91"),
        ("#f1f4f7", "#1b242e"),
        ("#9cc4f5", "#1b242e"),
    ],
)
def test_colours_can_be_read(text, ground, composer, context):
    html = composer.compose(context()).html
    assert text in html
    assert ground in html
    light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_text_and_page_say_the_same(composer, context):
    rendered = composer.compose(context(cause=Cause.HOUSEHOLD))
    page = re.sub(r"<[^>]+>", " ", rendered.html.partition("<body")[2])
    page = " ".join(page.replace("&#39;", "'").split())
    for line in rendered.text.splitlines():
        if line and line != "--" and "http" not in line:
            assert re.sub(r"^\d\. ", "", line) in page


def test_a_context_is_gathered_from_a_decision(trouble, person, decide_one, brand):
    decision = decide_one(trouble(device_type="ios", error_class="cdn"))
    context = NoticeContext.of(decision, person(no_phone=True), brand)
    assert context.notice_id == decision.notice_id
    assert (context.device_type, context.error_class) == ("ios", "cdn")
    assert (context.impaired, context.sessions) == (3, 4)
    assert context.variables()["phone"] is None


def test_composing_uses_nothing_but_its_arguments(composer, context):
    assert composer.compose(context()) == composer.compose(replace(context()))
    assert Recipient("u-1").email_opt_in is False


def test_every_variable_of_a_template_is_documented(context, root):
    guide = (root / "templates" / "notices" / "README.md").read_text()
    documented = {name for row in re.findall(r"^\| (`.+?) \|", guide, re.MULTILINE) for name in row.split("`")[1::2]}
    assert documented == set(context().variables())
