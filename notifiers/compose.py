"""Words for a decision: subject, HTML, its plain-text twin and the in-app card, from editable templates.

A notice is composed in two steps. First its words, in one language, as plain sentences: what happened,
whose side it is on, what to do, what happens next (``templates/notices/<language>/<cause>.jinja``,
``all_clear.jinja``), and what every notice says (``shell.jinja``). Then the same sentences go into a mail
in two forms and into a card. The mail's frame is MJML, compiled once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import mrml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from incidents.model import Cause, TroubleKind
from notifiers.links import with_query
from notifiers.local_time import known_zone, zone
from notifiers.model import Decision, Recipient, reference
from notifiers.names import greeting_name, one_line
from telemetry.contract import Signal

FALLBACK_LANGUAGE = "en"


@dataclass(frozen=True)
class Brand:
    """Who writes, and how to reach them: the same for every notice.

    Parameters
    ----------
    service_name
        The streaming service, as its subscribers know it.
    chat_url
        Where support chats; ``case=<notice_id>`` is added to its query.
    phone
        Support's telephone number, left out for those who cannot or will not use one.
    preferences_url
        Where notices are stopped; ``notice=<notice_id>`` is added to its query. Without one, a reply does it.
    """

    service_name: str = "your streaming service"
    chat_url: str | None = None
    phone: str | None = None
    preferences_url: str | None = None


@dataclass(frozen=True)
class NoticeContext:
    """Everything that a template may say, as plain values; see `Trouble` and `Recipient`."""

    notice_id: str
    kind: TroubleKind
    problem: Signal
    cause: Cause
    since: datetime
    impaired: int
    sessions: int
    brand: Brand
    device_type: str | None = None
    error_class: str | None = None
    display_name: str | None = None
    locale: str | None = None
    timezone: str | None = None
    no_phone: bool = False

    @classmethod
    def of(cls, decision: Decision, recipient: Recipient, brand: Brand) -> NoticeContext:
        """Gather the values from a decision, its recipient and the brand."""
        trouble = decision.trouble
        return cls(
            notice_id=decision.notice_id,
            kind=trouble.kind,
            problem=trouble.problem,
            cause=trouble.verdict.cause,
            since=trouble.since,
            impaired=trouble.impaired,
            sessions=trouble.sessions,
            brand=brand,
            device_type=trouble.device_type,
            error_class=trouble.error_class,
            display_name=recipient.display_name,
            locale=recipient.locale,
            timezone=recipient.timezone,
            no_phone=recipient.no_phone,
        )

    def variables(self) -> dict[str, Any]:
        """Return what the words' templates can name."""
        return {
            "problem": self.problem.value,
            "cause": self.cause.value,
            "since": self.since.astimezone(zone(self.timezone)),
            "zone_known": known_zone(self.timezone) is not None,
            "region": _region(self.locale),
            "impaired": self.impaired,
            "sessions": self.sessions,
            "device_type": self.device_type,
            "error_class": self.error_class,
            "name": greeting_name(self.display_name),
            "service_name": self.brand.service_name,
            "phone": None if self.no_phone else self.brand.phone,
            "reference": reference(self.notice_id),
        }

    def links(self) -> dict[str, str | None]:
        """Return the links that carry this case."""
        chat, preferences = self.brand.chat_url, self.brand.preferences_url
        return {
            "chat_url": chat and with_query(chat, case=self.notice_id),
            "preferences_url": preferences and with_query(preferences, notice=self.notice_id),
        }


@dataclass(frozen=True)
class Words:
    """One notice's own sentences, each on one line."""

    subject: str
    what: str
    side: str
    todo: str
    next: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Rendered:
    """A notice in words: a mail in two forms, and a card for the app.

    With a `body_key` it is a body that many share: it holds stand-ins, and `personal` says what each becomes for this
    reader. See `notifiers.sharing`.
    """

    subject: str
    html: str
    text: str
    card: Mapping[str, Any]
    body_key: str | None = None
    personal: Mapping[str, str] = field(default_factory=dict)


class Composer:
    """Renders notices from a folder of templates, each compiled once.

    Parameters
    ----------
    template_dir
        The folder `templates/` of this repository, or an edited copy.
    """

    def __init__(self, template_dir: Path) -> None:
        self.template_dir = template_dir

    @cached_property
    def languages(self) -> frozenset[str]:
        """The languages that notices are written in, as lower-case language tags."""
        return frozenset(path.name for path in (self.template_dir / "notices").iterdir() if path.is_dir())

    def language(self, locale: str | None) -> str:
        """Return the language to write in: the locale's, its primary language's, or English."""
        tag = (locale or "").lower().replace("_", "-")
        wanted = (tag, tag.partition("-")[0])
        return next((language for language in wanted if language in self.languages), FALLBACK_LANGUAGE)

    def compose(self, context: NoticeContext) -> Rendered:
        """Render one notice; text from outside is escaped or neutralised."""
        language = self.language(context.locale)
        variables = context.variables()
        words = self._words(language, context, variables)
        shell = _sentences(self._plain.get_template(f"{language}/shell.jinja"), variables)
        frame = {"words": words, "shell": shell, "language": language, **context.links()}
        return Rendered(
            subject=words.subject,
            html=self._html.render(frame),
            text=self._text.render(frame),
            card=_card(context, words, language),
        )

    def _words(self, language: str, context: NoticeContext, variables: Mapping[str, Any]) -> Words:
        is_problem = context.kind is TroubleKind.PROBLEM
        name = context.cause.value if is_problem else context.kind.value
        said = _sentences(self._plain.get_template(f"{language}/{name}.jinja"), variables)
        return Words(
            **{key: said[key] for key in ("subject", "what", "side", "todo", "next")},
            steps=tuple(one_line(step) for step in said["steps"]),
        )

    @cached_property
    def _plain(self) -> Environment:
        return self._environment(autoescape=False)

    @cached_property
    def _text(self) -> Template:
        return self._plain.get_template("layout.txt.jinja")

    @cached_property
    def _html(self) -> Template:
        source = (self.template_dir / "notices" / "layout.mjml.jinja").read_text(encoding="utf-8")
        return self._environment(autoescape=True).from_string(mrml.to_html(source).content)

    def _environment(self, *, autoescape: bool) -> Environment:
        return Environment(
            loader=FileSystemLoader(self.template_dir / "notices"),
            autoescape=autoescape,  # noqa: S701  words are plain text until a frame escapes them
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )


def _sentences(template: Template, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template of words sets, its sentences made one line each."""
    said = vars(template.make_module(dict(variables)))
    return {name: one_line(value) if isinstance(value, str) else value for name, value in said.items()}


def _card(context: NoticeContext, words: Words, language: str) -> dict[str, Any]:
    return {
        "kind": context.kind.value,
        "problem": context.problem.value,
        "cause": context.cause.value,
        "language": language,
        "title": words.subject,
        "body": f"{words.what} {words.side}",
        "todo": words.todo,
        "steps": list(words.steps),
        "next": words.next,
        "reference": reference(context.notice_id),
        **context.links(),
    }


def _region(locale: str | None) -> str:
    """Return the upper-case region of a language tag such as ``en-US``, or nothing."""
    parts = (locale or "").replace("_", "-").split("-")[1:]
    return next((part.upper() for part in parts if len(part) == 2), "")
