"""What a subscriber may choose: a page and a one-click POST behind signed links, and the same for the app.

Opening a link changes nothing, for mail scanners open links; only a POST does. It needs no cookie and no login: the
signed link itself is what nobody else has, so that no other site can send the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import RootModel
from sqlalchemy import Connection, select
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from console.web.bearers import bearer_of, form_of, locale_of
from console.web.callers import CallerOf, count_address
from console.web.errors import WrongInputError
from console.web.state import Web, WebOf
from incidents.ledger.schema import notices
from notifiers.links import Bearer, Purpose
from notifiers.model import Category, ChannelName, Topic
from notifiers.people import person_of
from notifiers.preferences import Source, choices_of, choose, unchoose

router = APIRouter()

TOPICS: tuple[Topic, ...] = tuple((category, channel) for category in Category for channel in ChannelName)
BY_NAME = {f"{category}/{channel}": (category, channel) for category, channel in TOPICS}
SAID: Mapping[str, bool | None] = {"yes": True, "no": False, "unset": None}
"""What a form may say about a topic; `unset` leaves it to the account again."""
ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""What a mail program posts (RFC 8058)."""

Form = Annotated[dict[str, str], Depends(form_of)]
Wishes = dict[Topic, bool | None]


class Preferences(RootModel[dict[Category, dict[ChannelName, bool | None]]]):
    """Whether a person wants a category by a channel; null is not chosen, so their account's opt-in holds."""

    @classmethod
    def of(cls, wishes: Wishes) -> Preferences:
        """Sort wishes by category and channel."""
        return cls({it: {channel: wishes[it, channel] for channel in ChannelName} for it in Category})

    @property
    def wishes(self) -> Wishes:
        """The same as a flat mapping."""
        return {(category, channel): want for category, by in self.root.items() for channel, want in by.items()}


@router.get("/inbox/v1/preferences", tags=["inbox"])
def read_preferences(web: WebOf, caller: CallerOf) -> Preferences:
    """Say what this subscriber chose."""
    with web.ledger.read() as connection:
        return Preferences.of(_chosen(connection, caller.subscriber_id))


@router.put("/inbox/v1/preferences", tags=["inbox"])
def write_preferences(web: WebOf, caller: CallerOf, wanted: Preferences) -> Preferences:
    """Store what this subscriber chooses; what is left out stays as it is, and null takes a choice back."""
    with web.ledger.engine.begin() as connection:
        _store(connection, web, caller.subscriber_id, wanted.wishes, Source.INBOX)
        return Preferences.of(_chosen(connection, caller.subscriber_id))


@router.get("/preferences/{token}")
def show_preferences(web: WebOf, request: Request, token: str) -> HTMLResponse:
    """Show what can be chosen."""
    count_address(request, web)
    bearer = bearer_of(web, Purpose.PREFERENCES, token)
    with web.ledger.read() as connection:
        shown = _shown(connection, bearer)
    return _page(web, request, bearer, "preferences.html.jinja", shown)


@router.post("/preferences/{token}")
def save_preferences(web: WebOf, request: Request, token: str, form: Form) -> HTMLResponse:
    """Store what was chosen, or stop everything; the page that follows can undo it."""
    count_address(request, web)
    bearer = bearer_of(web, Purpose.PREFERENCES, token)
    nothing: Wishes = dict.fromkeys(TOPICS, False)
    wanted = nothing if form.get("do") == "stop" else _said(form)
    before, after = _save(web, bearer, wanted, Source.PAGE)
    done = "undone" if form.get("do") == "undo" else "stopped" if form.get("do") == "stop" else "saved"
    return _page(web, request, bearer, "preferences.html.jinja", after, done=done, before=before)


@router.get("/unsubscribe/{token}")
def show_unsubscribe(web: WebOf, request: Request, token: str) -> HTMLResponse:
    """Show the button that stops mails: a mail scanner opens links, and must stop nothing."""
    count_address(request, web)
    bearer = bearer_of(web, Purpose.UNSUBSCRIBE, token)
    with web.ledger.read() as connection:
        shown = _shown(connection, bearer)
    return _page(web, request, bearer, "unsubscribe.html.jinja", shown)


@router.post("/unsubscribe/{token}")
def unsubscribe(web: WebOf, request: Request, token: str, form: Form) -> Response:
    """Stop mails: by a mail program's one click (RFC 8058), answered by a word, or by the page's button.

    Mail programs post for many people from few addresses, so addresses are not counted here.
    """
    bearer = bearer_of(web, Purpose.UNSUBSCRIBE, token)
    by_program = form.get(ONE_CLICK[0]) == ONE_CLICK[1]
    if not by_program and form.get("do") not in {"stop", "undo"}:
        raise WrongInputError("To stop mails, post List-Unsubscribe=One-Click.")
    mail: Wishes = {topic: False for topic in TOPICS if topic[1] is ChannelName.EMAIL}
    undo = form.get("do") == "undo" and not by_program
    before, after = _save(web, bearer, _said(form) if undo else mail, Source.ONE_CLICK)
    done = "undone" if undo else "stopped"
    if by_program:
        return PlainTextResponse("Stopped.")
    return _page(web, request, bearer, "unsubscribe.html.jinja", after, done, before)


def _save(web: Web, bearer: Bearer, wanted: Wishes, source: Source) -> tuple[Wishes, Wishes]:
    """Store wishes; return what was chosen before, and what is shown after."""
    with web.ledger.write() as connection:
        before, shown = _chosen(connection, bearer.subscriber_id), _shown(connection, bearer)
        changed = {topic: want for topic, want in wanted.items() if want != shown[topic] or want is False}
        _store(connection, web, bearer.subscriber_id, changed, source)
        return before, _shown(connection, bearer)


def _store(connection: Connection, web: Web, subscriber_id: str, wishes: Wishes, source: Source) -> None:
    for (category, channel), want in wishes.items():
        if want is not None:
            choose(connection, subscriber_id, want, source, web.clock(), channels=[channel], categories=[category])
    back = [topic for topic, want in wishes.items() if want is None]
    if back:
        unchoose(connection, subscriber_id, back, source, web.clock())


def _chosen(connection: Connection, subscriber_id: str) -> Wishes:
    chosen = choices_of(connection, [subscriber_id]).get(subscriber_id, {})
    return {topic: chosen.get(topic) for topic in TOPICS}


def _shown(connection: Connection, bearer: Bearer) -> Wishes:
    """Return what was chosen, and where nothing was, what holds: what the person's account says, as last heard.

    Of a person whom we have not copied from the account we know one thing: they agreed to the way this notice came.
    """
    chosen = _chosen(connection, bearer.subscriber_id)
    person = person_of(connection, bearer.subscriber_id)
    if person is not None:
        return {topic: person.agreed(topic[1]) if want is None else want for topic, want in chosen.items()}
    came_by = connection.scalar(select(notices.c.channel).where(notices.c.notice_id == bearer.notice_id))
    return {it: True if want is None and it[1].value == came_by else want for it, want in chosen.items()}


def _said(form: Mapping[str, str]) -> Wishes:
    """Return what a form says; a topic that it does not name stays as it is."""
    return {topic: SAID[form[name]] for name, topic in BY_NAME.items() if form.get(name) in SAID}


def _page(
    web: Web,
    request: Request,
    bearer: Bearer,
    name: str,
    shown: Wishes,
    done: str | None = None,
    before: Wishes | None = None,
) -> HTMLResponse:
    words = {want: word for word, want in SAID.items()}
    return web.pages.render(
        name,
        language=locale_of(web, bearer, request),
        shown={name: shown[topic] for name, topic in BY_NAME.items()},
        before={name: words[before[topic]] for name, topic in BY_NAME.items()} if before else {},
        done=done,
        preferences_url=web.links.preferences(bearer.notice_id, bearer.subscriber_id) if web.links else None,
    )
