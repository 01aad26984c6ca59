"""Words for a decision: subject, HTML, its plain-text twin and the in-app card, in the reader's language.

What a notice says comes from the catalogue of remedies (`notifiers.remedies`) and from a few sentences around it
(``templates/notices/shell.jinja``, ``personal.jinja``), all of them translated. Notices that say the same are made from
one *body*, composed once: subject, HTML and text with tokens such as ``[[greeting]]`` where people differ. A notice is
its body with one person's values in place of the tokens, so that many can be made for the price of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import mrml
from jinja2 import Environment, FileSystemLoader, Template

from incidents.model import TAKES_BACK, Cause, TroubleKind
from notifiers.context import Brand, Contact, NoticeContext
from notifiers.feedback import Verdict
from notifiers.language import Language, Languages
from notifiers.links import Links, with_query
from notifiers.local_time import known_zone, zone
from notifiers.model import Note, reference
from notifiers.names import dialled, greeting_name, one_line
from notifiers.remedies import Case, Remedies, Remedy
from telemetry.contract import DENIAL_CLASSES, DEVICE_TYPES, FAILURE_CLASSES, Signal

__all__ = ["Brand", "Composer", "Contact", "NoticeContext", "Rendered"]

PERSONAL = (
    "greeting",
    "when",
    "often",
    "over",
    "wrote",
    "reference",
    "chat",
    "preferences",
    "case",
    "genuine",
    "feedback",
)
"""What differs from person to person: the names of tokens."""
NAME = "[[name]]"
"""Where a greeting has the name."""
URLS = PERSONAL[6:]
BODIES_KEPT = 4096
"""More than the notices that one evening needs in all languages; a bound, because languages and devices multiply."""
SENTENCES_KEPT = 8192
_TOKEN = re.compile(rf"\[\[({'|'.join(PERSONAL)})\]\]")
_ERROR_CLASSES = frozenset(FAILURE_CLASSES + DENIAL_CLASSES)
_SIDES = {"ltr": ("left", "right"), "rtl": ("right", "left")}


@dataclass(frozen=True)
class Words:
    """One notice's own sentences, each on one line."""

    subject: str
    what: str
    side: str
    todo: str
    next: str
    steps: tuple[str, ...]
    article: str | None = None


@dataclass(frozen=True)
class Rendered:
    """A notice in words: a mail in two forms, and a card for the app.

    With a `body_key` it is a body that many share: it holds stand-ins, and `personal` says what each becomes for this
    reader. See `notifiers.sharing`. `notes` are oddities to count: a locale that nobody wrote, an unknown verdict.
    """

    subject: str
    html: str
    text: str
    card: Mapping[str, Any]
    body_key: str | None = None
    personal: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class _Body:
    """What many notices have in common: a subject, and HTML, text and a card with tokens, split at these."""

    subject: str
    html: list[str]
    text: list[str]
    card: Mapping[str, Any]


class _BodyKey(NamedTuple):
    """All that a body depends on."""

    tag: str
    case: Case
    wrong: str | None
    phone: str | None
    urls: tuple[str, ...]
    service_name: str
    reply_address: str
    help_url: str | None


class Composer:
    """Renders notices from a folder of templates, each compiled once, and a catalogue of remedies.

    Parameters
    ----------
    template_dir
        The folder `templates/` of this repository, or an edited copy.
    remedies
        From `config.remedies.read_remedies`.
    links
        Makes signed links to the web app's pages; without it a notice has those of its brand.
    """

    def __init__(self, template_dir: Path, remedies: Remedies, links: Links | None = None) -> None:
        self.template_dir = template_dir
        self.remedies = remedies
        self.links = links
        self._bodies: dict[_BodyKey, _Body] = {}
        self._said: dict[tuple[object, ...], str] = {}
        self._voices: dict[str, _Voice] = {}

    @cached_property
    def languages(self) -> Languages:
        """The languages that notices are written in."""
        return Languages(self.template_dir / "locales")

    def compose(self, context: NoticeContext, signed: Mapping[str, str] | None = None) -> Rendered:
        """Render one notice; text from outside is neutralised, and what is unknown gets the nearest words.

        Parameters
        ----------
        context
            What it may say.
        signed
            Links to say in place of those that the composer signs.
        """
        language = self.languages.of(context.locale)
        urls = context.urls() | dict(context.signed(self.links) if signed is None else signed)
        body = self._body(language, context, urls)
        values = self._values(language, context, urls)
        return Rendered(
            subject=body.subject,
            html=_fill(body.html, {name: escape(value) for name, value in values.items()}),
            text=_fill(body.text, values),
            card=_card(body, values, urls),
            notes=_notes(language, context),
        )

    def side(self, context: NoticeContext) -> str:
        """Return only the sentence that says whose side it is on, and why we think so."""
        return one_line(self.languages.of(context.locale).gettext(self.remedies.best(_case(context)).side))

    def _body(self, language: Language, context: NoticeContext, urls: Mapping[str, str | None]) -> _Body:
        brand = context.brand
        key = _BodyKey(
            tag=language.tag,
            case=_case(context),
            wrong=context.wrong_cause if context.kind in TAKES_BACK else None,
            phone=brand.reach(context.country, no_phone=context.no_phone).phone,
            urls=tuple(name for name in URLS if urls[name]),
            service_name=brand.service_name,
            reply_address=brand.reply_address,
            help_url=brand.help_url,
        )
        if key not in self._bodies:
            if len(self._bodies) >= BODIES_KEPT:
                self._bodies.clear()
            self._bodies[key] = self._composed(language, key, brand)
        return self._bodies[key]

    def _composed(self, language: Language, key: _BodyKey, brand: Brand) -> _Body:
        voice = self._voice(language)
        words = self._words(language, key)
        phone = dialled(key.phone) if key.phone and language.direction == "rtl" else key.phone
        said = {"service_name": one_line(brand.service_name), "phone": phone, "reply_address": brand.reply_address}
        shell = voice.shell(said | {"reference": "[[reference]]"})
        urls = {name: f"[[{name}]]" if name in key.urls else None for name in URLS}
        action = {"url": urls["chat"] or urls["case"], "label": shell["chat" if urls["chat"] else "case"]}
        article = {
            "url": brand.article_url(words.article),
            "title": words.article and language.gettext(self.remedies.articles[words.article]),
        }
        answers = [{"answer": it.value, "label": shell[it.value], "url": _answer_url(urls["feedback"], it)}
                   for it in Verdict if urls["feedback"]]  # fmt: skip
        frame = {"words": words, "answers": answers, "shell": shell, "urls": urls, "action": action, "article": article,
                 "greeting": "[[greeting]]", "service_name": said["service_name"]}  # fmt: skip
        html, text = _TOKEN.split(voice.html.render(frame)), _TOKEN.split(voice.text.render(frame))
        card = _card_of(language, key, words, self.remedies.best(key.case), shell)
        card |= {"action": action, "article": article, "feedback": answers}
        return _Body(words.subject, html, text, card)

    def _words(self, language: Language, key: _BodyKey) -> Words:
        """Return the sentences of a notice; what differs from person to person is a token."""
        kind, _, signal, _, device_type = key.case
        remedy, sight = self.remedies.best(key.case), self.remedies.sight(signal)
        said = language.gettext
        seen = {"seen": said(sight.seen), "again": said(sight.again)}
        what, side = "[[over]]", remedy.side and said(remedy.side)
        if kind == TroubleKind.PROBLEM:
            where = said(self.remedies.where(device_type))
            what = said(sight.what) % {"when": "[[when]]", "where": where} + "[[often]]"
        elif kind in TAKES_BACK:
            what = f"[[wrote]]{language.blank}{said(self.remedies.was_wrong(key.wrong))}"
        return Words(
            subject=one_line(said(remedy.subject) % seen),
            what=one_line(what),
            side=one_line(side),
            todo=one_line(said(remedy.todo)),
            next=one_line(said(remedy.next)),
            steps=tuple(one_line(said(step.say)) for step in remedy.steps),
            article=remedy.article,
        )

    def _values(self, language: Language, context: NoticeContext, urls: Mapping[str, str | None]) -> dict[str, str]:
        day = time = ""
        if context.since is not None:
            local = context.since.astimezone(zone(context.timezone))
            day, time = language.day(local), language.time(local)
        moment = (day, time, known_zone(context.timezone) is not None)
        values = {
            "greeting": self._greeting(language, greeting_name(context.display_name)),
            "reference": reference(context.notice_id),
            **{name: url for name, url in urls.items() if url},
        }
        match _kind(context):
            case TroubleKind.ALL_CLEAR:
                values["over"] = self._personal(language, "over", *moment)
            case TroubleKind.CORRECTION | TroubleKind.RETRACTION:
                values["wrote"] = self._personal(language, "wrote", *moment)
            case _:
                values["when"] = self._personal(language, "moment", *moment)
                values["often"] = self._often(language, context)
        return values

    def _greeting(self, language: Language, name: str | None) -> str:
        """Return the greeting; its sentence is made once, for people's names repeat less than all else."""
        return self._personal(language, "greeting", name and NAME).replace(NAME, name or "")

    def _often(self, language: Language, context: NoticeContext) -> str:
        """Return how often it happened, with the blank before it; nothing where that says nothing."""
        impaired, sessions = context.impaired, context.sessions
        shown = (language.number(impaired), language.number(sessions)) if sessions > 1 else ("", "")
        said = self._personal(language, "often", impaired, sessions, *shown)
        return said and f"{language.blank}{said}"

    def _personal(self, language: Language, name: str, *arguments: object) -> str:
        key = (language.tag, name, *arguments)
        if key not in self._said:
            if len(self._said) >= SENTENCES_KEPT:
                self._said.clear()
            self._said[key] = one_line(str(getattr(self._voice(language).personal, name)(*arguments)))
        return self._said[key]

    def _voice(self, language: Language) -> _Voice:
        if language.tag not in self._voices:
            self._voices[language.tag] = _Voice(self.template_dir / "notices", language)
        return self._voices[language.tag]


class _Voice:
    """The templates of notices in one language."""

    def __init__(self, folder: Path, language: Language) -> None:
        self.folder = folder
        self.language = language

    @cached_property
    def plain(self) -> Environment:
        return self.language.environment(FileSystemLoader(self.folder), autoescape=False)

    @cached_property
    def text(self) -> Template:
        return self.plain.get_template("mail.txt.jinja")

    @cached_property
    def html(self) -> Template:
        source = (self.folder / "mail.mjml.jinja").read_text(encoding="utf-8")
        page = self.language.environment(FileSystemLoader(self.folder), autoescape=True)
        return page.from_string(mrml.to_html(turned(source, self.language.direction)).content)

    @cached_property
    def personal(self) -> object:
        return self.plain.get_template("personal.jinja").make_module()

    def shell(self, variables: Mapping[str, Any]) -> dict[str, str]:
        said = vars(self.plain.get_template("shell.jinja").make_module(dict(variables)))
        return {name: one_line(str(value)) for name, value in said.items() if not name.startswith("_")}


def turned(mjml: str, direction: str) -> str:
    """Return a layout for a direction of writing: ``[[start]]`` and ``[[end]]`` are left and right, or the reverse."""
    start, end = _SIDES[direction]
    return mjml.replace("[[direction]]", direction).replace("[[start]]", start).replace("[[end]]", end)


def _answer_url(feedback_url: str | None, answer: str) -> str:
    """Return the page of feedback with an answer marked: who opens it has said nothing yet."""
    return with_query(feedback_url or "", answer=answer)


def _fill(parts: list[str], values: Mapping[str, str]) -> str:
    filled = parts.copy()
    for index in range(1, len(parts), 2):
        filled[index] = values.get(parts[index], "")
    return "".join(filled)


def _kind(context: NoticeContext) -> TroubleKind:
    """Return what kind of notice it is; one that nobody knows is of a problem."""
    return context.kind if isinstance(context.kind, TroubleKind) else TroubleKind.PROBLEM


def _case(context: NoticeContext) -> Case:
    """Return what words depend on; text from outside that is not in the contract does not count."""
    error_class = context.error_class if context.error_class in _ERROR_CLASSES else None
    device_type = context.device_type if context.device_type in DEVICE_TYPES else None
    cause = context.cause if isinstance(context.cause, Cause) else "unknown"
    problem = context.problem if isinstance(context.problem, Signal) else "unknown"
    return (_kind(context), cause, problem, error_class, device_type)


def _notes(language: Language, context: NoticeContext) -> tuple[Note, ...]:
    known = isinstance(context.cause, Cause) and isinstance(context.problem, Signal)
    odd = {Note.UNKNOWN_LOCALE: not language.known, Note.UNKNOWN_VERDICT: not known}
    return tuple(note for note, is_so in odd.items() if is_so)


def _card_of(
    language: Language, key: _BodyKey, words: Words, remedy: Remedy, shell: Mapping[str, str]
) -> dict[str, Any]:
    kind, cause, signal, _, _ = key.case
    return {
        "kind": kind,
        "problem": signal,
        "cause": cause,
        "language": language.tag,
        "direction": language.direction,
        "title": words.subject,
        "body": f"{words.what}{language.blank}{words.side}".rstrip(),
        "needed": remedy.needed.value,
        "todo": words.todo,
        "steps": list(words.steps),
        "next": words.next,
        "help": shell["card_help"],
        "why": shell["why"],
    }


def _card(body: _Body, values: Mapping[str, str], urls: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the card of one person."""
    card = dict(body.card)
    action = card["action"]
    return card | {
        "body": _TOKEN.sub(lambda token: values.get(token[1], ""), card["body"]),
        "reference": values["reference"],
        "action": {"label": action["label"], "url": urls["chat"] or urls["case"]},
        "chat_url": urls["chat"],
        "preferences_url": urls["preferences"],
        "case_url": urls["case"],
        "genuine_url": urls["genuine"],
        "feedback_url": urls["feedback"],
        "feedback": [it | {"url": _answer_url(urls["feedback"], it["answer"])} for it in card["feedback"]],
    }
