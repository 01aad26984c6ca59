"""What a notice may say, gathered as plain values: who writes, about what, to whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from incidents.model import Cause, Trouble, TroubleKind
from notifiers.links import Links, with_query
from notifiers.model import Decision, Recipient
from notifiers.people import Person
from telemetry.contract import Signal


@dataclass(frozen=True)
class Contact:
    """How people of one country reach a person.

    Parameters
    ----------
    phone
        A number that can be dialled there; never said to those who cannot or will not use one.
    chat_url
        Where support chats in that country.
    """

    phone: str | None = None
    chat_url: str | None = None


NOBODY = Contact()
UNNAMED = "your streaming service"
"""What a service is called that was given no name; readers find it in their own language."""


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
        A number that can be dialled from anywhere, left out for those who cannot or will not use one.
    preferences_url
        Where notices are stopped where there is no web app of ours; ``notice=<notice_id>`` is added. Without
        either, a reply does it.
    reply_address
        Where replies go and a person reads them.
    help_url
        Where help articles are; an article's key is added to it.
    contact
        What is different by country (ISO 3166-1 code and ways): a free number is no use abroad.
    """

    service_name: str = UNNAMED
    chat_url: str | None = None
    phone: str | None = None
    preferences_url: str | None = None
    reply_address: str = "support@prebuffer.invalid"
    help_url: str | None = None
    contact: tuple[tuple[str, Contact], ...] = ()

    def reach(self, country: str | None, *, no_phone: bool) -> Contact:
        """Return the ways that work for somebody of a country."""
        own = self._by_country.get(country or "", NOBODY)
        return Contact(None if no_phone else own.phone or self.phone, own.chat_url or self.chat_url)

    @property
    def name(self) -> str:
        """The service's name; nothing where it has none."""
        return "" if self.service_name == UNNAMED else self.service_name

    @cached_property
    def _by_country(self) -> dict[str, Contact]:
        return dict(self.contact)

    def stop_url(self, notice_id: str) -> str | None:
        """Return where this notice's reader stops more of them, where the brand has such a page."""
        return self.preferences_url and with_query(self.preferences_url, notice=notice_id)

    def article_url(self, article: str | None) -> str | None:
        """Return the address of a help article, if there is one."""
        return f"{self.help_url.rstrip('/')}/{article}" if self.help_url and article else None


@dataclass(frozen=True)
class NoticeContext:
    """Everything that a template may say, as plain values; see `Trouble` and `Recipient`.

    `wrong_cause` is what an earlier notice named, where this one is a correction.
    """

    notice_id: str
    kind: TroubleKind
    problem: Signal
    cause: Cause
    since: datetime | None
    impaired: int
    sessions: int
    brand: Brand
    device_type: str | None = None
    error_class: str | None = None
    display_name: str | None = None
    locale: str | None = None
    timezone: str | None = None
    no_phone: bool = False
    country: str | None = None
    subscriber_id: str = ""
    wrong_cause: Cause | None = None

    @classmethod
    def of(cls, decision: Decision, recipient: Recipient, brand: Brand) -> NoticeContext:
        """Gather the values from a decision, its recipient and the brand."""
        trouble = decision.trouble
        gathered = cls.about(trouble, recipient, brand, notice_id=decision.notice_id, kind=trouble.kind)
        return replace(gathered, display_name=recipient.display_name)

    @classmethod
    def about(
        cls, trouble: Trouble, reader: Recipient | Person, brand: Brand, *, notice_id: str, kind: TroubleKind
    ) -> NoticeContext:
        """Gather all but a name from a trouble, its reader and the brand."""
        return cls(
            notice_id=notice_id,
            kind=kind,
            problem=trouble.problem,
            cause=trouble.verdict.cause,
            since=trouble.since,
            impaired=trouble.impaired,
            sessions=trouble.sessions,
            brand=brand,
            device_type=trouble.device_type,
            error_class=trouble.error_class,
            locale=reader.locale,
            timezone=reader.timezone,
            no_phone=reader.no_phone,
            country=reader.country,
            subscriber_id=trouble.subscriber_id,
        )

    def urls(self) -> dict[str, str | None]:
        """Return the links of the brand that carry this case, by what they are for, and the names of signed ones."""
        chat = self.brand.reach(self.country, no_phone=self.no_phone).chat_url
        own = {
            "chat": chat and with_query(chat, case=self.notice_id),
            "preferences": self.brand.stop_url(self.notice_id),
        }
        return own | dict.fromkeys(("case", "genuine", "feedback"))

    def signed(self, links: Links | None) -> dict[str, str]:
        """Return the links to the web app that only this person has; none where there is no web app."""
        if links is None:
            return {}
        made = (links.preferences, links.case, links.genuine, links.feedback)
        return {make.__name__: make(self.notice_id, self.subscriber_id) for make in made}
