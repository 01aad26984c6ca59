"""The style of notices: what must hold for every one of them, in every language. Each complaint is a sentence.

Words are counted as a reader would: by blanks, without signs that stand alone (French parts them off), without
addresses of links, above the line ``--``. Japanese has no blanks: two and a half characters count as a word, for an
English text of n words comes to about that many characters in Japanese. Hindi, Arabic and Hebrew are counted by blanks
as they are. The reading grade (Flesch-Kincaid) is known for English alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import unescape

import pyphen

from notifiers.compose import Rendered
from notifiers.language import Language, primary

MOST_SUBJECT = 59
"""Telephones show about as many characters of a subject."""
MOST_WORDS = 120
MOST_STEPS = 3
HIGHEST_GRADE = 8.0
"""School years of a reader who understands it at once: most adults, and those who read in a second language."""
CHARACTERS_A_WORD = 2.5
"""Of Japanese."""
FOREIGN = re.compile(r"[A-Za-z0-9][\w.@+-]*", re.ASCII)
"""What stands in a Japanese text as a word of its own: a name, a number, a reference."""
FOOT = "\n--\n"
LEFTOVERS = re.compile(r"%\(|\[\[|\]\]|\{\{|\}\}|\{%|&amp;|\bNone\b")
ALARM = re.compile(r"[!！¡]|\b(urgent|critical|alert|warning|attention|asap|immediately|action required)\b", re.I)
BLAME = re.compile(r"\b(your fault|you (should|must) have|you failed|your mistake|because you did|wrongly set)\b", re.I)
UPSELL = re.compile(r"\b(upgrade|premium|discount|buy|subscribe|save \d+|special price|deal)\b", re.I)
PROMISE = re.compile(r"\b(within|in) \d+ (minutes|hours|days)\b|\bguarantee|\b(shortly|as soon as possible)\b", re.I)
SECRET = re.compile(r"(?<!never )\b(send|tell|give|reply with|mail) (us )?(it|your (password|card|pin))\b", re.I)
JARGON = re.compile(
    r"\b(buffer(ed|ing)?|cdn|bitrate|dns|latency|packets?|isp|bandwidth|drm|hdcp|cache|firmware|modem|ethernet|vpn|"
    r"throughput|protocol|ip address|entitlement|authentication|manifest|decoder|codec)\b",
    re.I,
)
EMPTY_LINKS = frozenset({"here", "click here", "link", "this link", "more", "read more"})
"""What a link must not be called: a list of links, as a screen reader reads it, would say nothing."""
_ENGLISH: Mapping[str, re.Pattern[str]] = {
    "blames the reader": BLAME,
    "sells": UPSELL,
    "promises a time": PROMISE,
    "asks for a secret": SECRET,
}


def complaints(rendered: Rendered, language: Language) -> Iterator[str]:
    """Walk over what is wrong with one notice.

    Parameters
    ----------
    rendered
        Complete, for one person.
    language
        What it was written in.
    """
    page = Page.of(rendered.html)
    yield from _subject(rendered)
    yield from _body(rendered, language)
    yield from _links(rendered, page)
    yield from _both_parts(rendered, page)
    if page.attributes.get("lang") != language.tag or page.attributes.get("dir") != language.direction:
        yield "the page does not say its language and direction"
    if primary(language.tag) == "en":
        yield from _english(rendered)


def _subject(rendered: Rendered) -> Iterator[str]:
    if len(rendered.subject) > MOST_SUBJECT:
        yield f"the subject has {len(rendered.subject)} characters, of {MOST_SUBJECT}: {rendered.subject}"
    if found := ALARM.search(rendered.subject):
        yield f'the subject alarms: "{found[0]}"'


def _body(rendered: Rendered, language: Language) -> Iterator[str]:
    words = count_words(body_of(rendered.text), language)
    if words > MOST_WORDS:
        yield f"the body has {words} words, of {MOST_WORDS}"
    if len(rendered.card["steps"]) > MOST_STEPS:
        yield f"there are {len(rendered.card['steps'])} steps, of {MOST_STEPS}"
    for part in (rendered.subject, rendered.text):
        if found := LEFTOVERS.search(part):
            yield f'something is left over: "{found[0]}"'


def _english(rendered: Rendered) -> Iterator[str]:
    said = f"{rendered.subject}\n{body_of(rendered.text)}"
    grade = reading_grade(body_of(rendered.text))
    if grade > HIGHEST_GRADE:
        yield f"it reads at grade {grade:.1f}, of {HIGHEST_GRADE:g}"
    for what, pattern in _ENGLISH.items():
        if found := pattern.search(said):
            yield f'it {what}: "{found[0]}"'
    if found := JARGON.search(re.sub(r"\([^)]*\)", "", said)):
        yield f'"{found[0]}" stands before, or without, the plain word'


def _links(rendered: Rendered, page: Page) -> Iterator[str]:
    if page.buttons > 1:
        yield f"there are {page.buttons} actions, of one"
    for address, said in page.links:
        if not said or said.lower() in EMPTY_LINKS or "://" in said:
            yield f'a link is called "{said}"'
        if address not in rendered.text:
            yield f"the text lacks a link of the page: {said}"


def _both_parts(rendered: Rendered, page: Page) -> Iterator[str]:
    for line in rendered.text.splitlines():
        said = re.sub(r"^\d+\. |: https?://\S+$", "", line).strip()
        if said and said != "--" and " ".join(said.split()) not in page.text:
            yield f"the page lacks a line of the text: {said}"


def body_of(text: str) -> str:
    """Return what stands above the line ``--``, without addresses of links."""
    return re.sub(r"https?://\S+", "", text.partition(FOOT)[0])


def count_words(text: str, language: Language) -> int:
    """Return how many words a text has."""
    if primary(language.tag) == "ja":
        rest = FOREIGN.sub(" ", text)
        return len(FOREIGN.findall(text)) + round(len("".join(rest.split())) / CHARACTERS_A_WORD)
    return sum(any(map(str.isalnum, part)) for part in text.split())


def reading_grade(text: str) -> float:
    """Return the Flesch-Kincaid grade of English: 0.39 words a sentence + 11.8 syllables a word - 15.59 (1975)."""
    sentences = [it for it in re.split(r"[.:!?]\s|\n", text) if re.search(r"[A-Za-z]", it)]
    words = re.findall(r"[A-Za-z][A-Za-z'’]*", text)
    if not words:
        return 0.0
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


@lru_cache(maxsize=4096)
def syllables(word: str) -> int:
    """Return how many syllables a word has: by its vowels or by where it may be hyphenated, whichever is more."""
    spoken = re.sub(r"(?<=[^aeiouyl])e$|(?<=[^aeiouydt])ed$", "", word.lower())
    vowels = len(re.findall(r"[aeiouy]+", spoken))
    return max(vowels, int(_hyphens().inserted(word.lower()).count("-")) + 1)


@lru_cache(maxsize=1)
def _hyphens() -> pyphen.Pyphen:
    return pyphen.Pyphen(lang="en_GB", left=1, right=1)


_UNSEEN = re.compile(r"<!--.*?-->|<(style|title|script)\b.*?</\1>", re.S)
_SPAN = re.compile(r"</?span\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")
_HTML = re.compile(r"<html\b([^>]*)>")
_LINK = re.compile(r"<a\b([^>]*)>(.*?)</a>", re.S)
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


@dataclass(frozen=True)
class Page:
    """What a reader, or their screen reader, finds in a mail's HTML, as our own templates write it.

    Parameters
    ----------
    attributes
        Of the page itself: its language and direction.
    links
        Addresses, and what each is called.
    buttons
        How many links are filled with a colour: what asks to be done first.
    text
        All that is said, with single blanks.
    """

    attributes: Mapping[str, str]
    links: tuple[tuple[str, str], ...]
    buttons: int
    text: str

    @classmethod
    def of(cls, html: str) -> Page:
        """Read a page, which is well formed: a parser that forgives mistakes takes most of the time of a check."""
        seen, page = _UNSEEN.sub(" ", html), _HTML.search(html)
        found = [(dict(_ATTRIBUTE.findall(tag)), said) for tag, said in _LINK.findall(seen)]
        return cls(
            attributes=dict(_ATTRIBUTE.findall(page[1])) if page else {},
            links=tuple((unescape(tag.get("href", "")), _said(said)) for tag, said in found),
            buttons=sum("background" in tag.get("style", "") for tag, _ in found),
            text=_said(seen),
        )


def _said(html: str) -> str:
    return " ".join(unescape(_TAG.sub(" ", _SPAN.sub("", html))).split())
