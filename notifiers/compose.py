"""Words for a decision: subject, HTML, its plain-text twin and the in-app card, in the reader's language.

What a notice says comes from the catalogue of remedies (`notifiers.remedies`) and from a few sentences around it
(``templates/notices/shell.jinja``, ``personal.jinja``), all of them translated. Templates are rendered once for each
*frame*: a language, a brand, and which sentences there are; where these differ from notice to notice, and from person
to person, a frame has tokens such as ``[[subject]]``. A notice is its frame with words in place of the tokens, so that
it costs little more than joining them, the first of its kind too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from incidents.model import TAKES_BACK, Cause, TroubleKind
from notifiers.context import Brand, Contact, NoticeContext
from notifiers.feedback import Verdict
from notifiers.language import Language, Languages
from notifiers.links import Links
from notifiers.local_time import known_zone, zone
from notifiers.model import Note, reference
from notifiers.names import dialled, greeting_name, one_line
from notifiers.remedies import Case, Remedies, Remedy
from notifiers.voice import Voice, kept_whole
from telemetry.contract import DENIAL_CLASSES, DEVICE_TYPES, FAILURE_CLASSES, Signal

__all__ = ["Brand", "Composer", "Contact", "NoticeContext", "Rendered"]

WORDS = ("subject", "side", "todo", "next", "step1", "step2", "step3", "article_title", "article_url")
"""What differs from notice to notice: the names of tokens."""
PERSONAL = ("greeting", "when", "often", "over", "wrote", "reference")
"""What differs from person to person."""
STEPS = WORDS[4:7]
URLS = ("chat", "preferences", "case", "genuine", "feedback")
NAME = "[[name]]"
"""Where a greeting has the name."""
BODIES_KEPT = 16_384
"""More than there are notices in all languages; a bound, because languages and devices multiply."""
SENTENCES_KEPT = 8192
_TOKEN = re.compile(rf"\[\[({'|'.join(('what', *WORDS, *PERSONAL, *URLS))})\]\]")
_ERROR_CLASSES = frozenset(FAILURE_CLASSES + DENIAL_CLASSES)


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


class _Parts:
    """A text split at its tokens."""

    def __init__(self, text: str) -> None:
        self._parts = _TOKEN.split(text)
        self._names = self._parts[1::2]

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the text with values in place of its tokens; one that is not there leaves nothing."""
        parts = self._parts.copy()
        parts[1::2] = [values.get(name, "") for name in self._names]
        return "".join(parts)


class _FrameKey(NamedTuple):
    """All that a frame depends on; of words, which ones there are."""

    tag: str
    said: frozenset[str]
    phone: str | None
    urls: tuple[str, ...]
    brand: Brand


@dataclass(frozen=True)
class _Frame:
    """A notice's page and its twin around its words, and what a card takes from them."""

    html: _Parts
    text: _Parts
    action: str | None
    answers: tuple[tuple[str, str], ...]
    card: Mapping[str, Any]


class _BodyKey(NamedTuple):
    """All that the words of a notice depend on, but for its person."""

    tag: str
    case: Case
    wrong: str | None
    phone: str | None
    urls: tuple[str, ...]
    brand: Brand


@dataclass(frozen=True)
class _Body:
    """What notices of a kind say: their frame, the words in it as text and for a page, and the card."""

    frame: _Frame
    what: _Parts
    words: Mapping[str, str]
    escaped: Mapping[str, str]
    card: Mapping[str, Any]


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
        self._frames: dict[_FrameKey, _Frame] = {}
        self._said: dict[tuple[object, ...], str] = {}
        self._voices: dict[str, Voice] = {}

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
        values["what"] = body.what.filled(values)
        return Rendered(
            subject=body.words["subject"],
            html=body.frame.html.filled({**body.escaped, **{name: escape(value) for name, value in values.items()}}),
            text=body.frame.text.filled({**body.words, **values}),
            card=_card(language, body, values, urls),
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
            urls=tuple([name for name in URLS if urls[name]]),
            brand=brand,
        )
        if key not in self._bodies:
            if len(self._bodies) >= BODIES_KEPT:
                self._bodies.clear()
            self._bodies[key] = self._composed(language, key)
        return self._bodies[key]

    def _composed(self, language: Language, key: _BodyKey) -> _Body:
        remedy = self.remedies.best(key.case)
        words = self._words(language, key, remedy)
        said = frozenset([name for name, word in words.items() if word])
        frame = self._frame(language, _FrameKey(key.tag, said, key.phone, key.urls, key.brand))
        escaped = {name: str(escape(word)) for name, word in words.items()}
        what = self._what(language, key)
        card = {**frame.card, **_card_of(language, key, words, remedy)}
        return _Body(frame, _Parts(what), words, escaped, card)

    def _frame(self, language: Language, key: _FrameKey) -> _Frame:
        if key not in self._frames:
            if len(self._frames) >= BODIES_KEPT:
                self._frames.clear()
            self._frames[key] = self._framed(language, key)
        return self._frames[key]

    def _framed(self, language: Language, key: _FrameKey) -> _Frame:
        """Render the templates with a token for every word that there is."""
        voice, brand = self._voice(language), key.brand
        phone = dialled(key.phone) if key.phone and language.direction == "rtl" else key.phone
        shell = voice.shell({"service_name": one_line(brand.name), "phone": phone, "reply_address": brand.reply_address,
                             "reference": "[[reference]]"})  # fmt: skip
        urls = {name: f"[[{name}]]" if name in key.urls else None for name in URLS}
        words = {name: f"[[{name}]]" if name in key.said else "" for name in WORDS}
        action = {"url": urls["chat"] or urls["case"], "label": shell["chat" if urls["chat"] else "case"]}
        article = {"url": words["article_url"], "title": words["article_title"]}
        answers = [(it.value, shell[it.value]) for it in Verdict if urls["feedback"]]
        frame = {
            "words": words | {"what": "[[what]]", "steps": [words[name] for name in STEPS if words[name]]},
            "shell": shell,
            "urls": urls,
            "action": action,
            "article": article,
            "answers": [{"label": label, "url": _answer_url(urls["feedback"], it)} for it, label in answers],
            "greeting": "[[greeting]]",
            "service_name": shell["service"],
        }
        text = voice.text.render(frame)
        whole = {name: kept_whole(said, phone, "[[reference]]") for name, said in shell.items()}
        html = voice.html.render(frame | {"shell": whole})
        card = {"help": shell["card_help"], "why": shell["why"]}
        return _Frame(_Parts(html), _Parts(text), action["label"], tuple(answers), card)

    def _words(self, language: Language, key: _BodyKey, remedy: Remedy) -> dict[str, str]:
        """Return the sentences of a notice by their tokens, each on one line; empty ones where it has none."""
        sight, said = self.remedies.sight(key.case[2]), partial(self._sentence, language)
        seen = {"seen": said(sight.seen), "again": said(sight.again)}
        words = dict.fromkeys(WORDS, "")
        words["subject"] = one_line(said(remedy.subject) % seen)
        words["side"] = said(remedy.side) if remedy.side else ""
        words["todo"], words["next"] = said(remedy.todo), said(remedy.next)
        for name, step in zip(STEPS, remedy.steps, strict=False):
            words[name] = said(step.say)
        if (url := key.brand.article_url(remedy.article)) and remedy.article:
            words["article_title"], words["article_url"] = said(self.remedies.articles[remedy.article]), one_line(url)
        return words

    def _sentence(self, language: Language, sentence: str) -> str:
        """Return a sentence of the catalogue in a language, on one line; each is looked up once."""
        key = (language.tag, sentence)
        if key not in self._said:
            self._keep(key, one_line(language.gettext(sentence)))
        return self._said[key]

    def _keep(self, key: tuple[object, ...], said: str) -> None:
        if len(self._said) >= SENTENCES_KEPT:
            self._said.clear()
        self._said[key] = said

    def _what(self, language: Language, key: _BodyKey) -> str:
        """Return the sentence of what happened, with tokens where it differs from person to person."""
        kind, _, signal, _, device_type = key.case
        said = language.gettext
        if kind == TroubleKind.PROBLEM:
            where = said(self.remedies.where(device_type))
            return one_line(said(self.remedies.sight(signal).what) % {"when": "[[when]]", "where": where} + "[[often]]")
        if kind in TAKES_BACK:
            return one_line(f"[[wrote]]{language.blank}{said(self.remedies.was_wrong(key.wrong))}")
        return "[[over]]"

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
            self._keep(key, one_line(str(getattr(self._voice(language).personal, name)(*arguments))))
        return self._said[key]

    def _voice(self, language: Language) -> Voice:
        if language.tag not in self._voices:
            self._voices[language.tag] = Voice(self.template_dir / "notices", language)
        return self._voices[language.tag]


def _answer_url(feedback_url: str | None, answer: str) -> str:
    """Return the page of feedback with an answer marked: who opens it has said nothing yet."""
    return f"{feedback_url}?answer={answer}"


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


def _card_of(language: Language, key: _BodyKey, words: Mapping[str, str], remedy: Remedy) -> dict[str, Any]:
    kind, cause, signal, _, _ = key.case
    return {
        "kind": kind,
        "problem": signal,
        "cause": cause,
        "language": language.tag,
        "direction": language.direction,
        "title": words["subject"],
        "needed": remedy.needed.value,
        "todo": words["todo"],
        "steps": [words[name] for name in STEPS if words[name]],
        "next": words["next"],
        "article": {"url": words["article_url"] or None, "title": words["article_title"] or None},
    }


def _card(language: Language, body: _Body, values: Mapping[str, str], urls: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the card of one person."""
    page = urls["feedback"]
    return {
        **body.card,
        "body": f"{values['what']}{language.blank}{body.words['side']}".rstrip(),
        "reference": values["reference"],
        "action": {"label": body.frame.action, "url": urls["chat"] or urls["case"]},
        "chat_url": urls["chat"],
        "preferences_url": urls["preferences"],
        "case_url": urls["case"],
        "genuine_url": urls["genuine"],
        "feedback_url": page,
        "feedback": [
            {"answer": answer, "label": label, "url": _answer_url(page, answer)} for answer, label in body.frame.answers
        ],
    }
