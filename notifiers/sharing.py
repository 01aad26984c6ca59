"""Words that many share: each distinct notice is composed once, with stand-ins where something of one person's belongs.

An outage gives a hundred thousand people the same mail but for their name, their case and links. The frames of the
composer make a mail cheap to write; this makes it cheap to keep and to hand over. The composer is given stand-ins for
what is personal, what comes out is kept once, and each person's own values are put in at the end: by the provider, for
up to a thousand people a request, or by `notifiers.outbox.Message.filled`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import orjson

from notifiers.compose import Composer, NoticeContext, Rendered
from notifiers.model import reference
from notifiers.names import greeting_name

NOTICE = "prebuffernoticex"
"""Stands in for a notice's key, which has as many letters, so that what is made of a key can be made of it."""
NAME = "Prebuffername"
LINK = "https://prebuffer.invalid/"
"""Begins what stands in for a signed link, before what the link is for."""
_REFERENCE = reference(NOTICE)
_CHANGED_IN_HTML = frozenset("&<>'\"")
"""A name with one of these is written differently in a page and in plain text: it gets a body of its own."""


@dataclass
class Sharing:
    """Composes, and remembers what was composed.

    Parameters
    ----------
    composer
        What renders.
    """

    composer: Composer
    bodies: dict[NoticeContext, Rendered] = field(default_factory=dict)

    def compose(self, context: NoticeContext) -> Rendered:
        """Return a notice's words as a shared body and what it holds of this person."""
        name = greeting_name(context.display_name)
        stands_in = name is not None and not _CHANGED_IN_HTML & set(name)
        common = replace(
            context,
            notice_id=NOTICE,
            subscriber_id="",
            display_name=NAME if stands_in else context.display_name,
            since=context.since and context.since.replace(second=0, microsecond=0),
        )
        signed = context.signed(self.composer.links)
        body = self.bodies.get(common)
        if body is None:
            body = self.bodies[common] = _keyed(self.composer.compose(common, {name: LINK + name for name in signed}))
        personal = {NOTICE: context.notice_id, _REFERENCE: reference(context.notice_id)}
        personal |= {LINK + name: url for name, url in signed.items()}
        return replace(body, personal=personal | ({NAME: str(name)} if stands_in else {}))

    def compose_all(self, contexts: Iterable[NoticeContext]) -> dict[str, Rendered]:
        """Return the words of many notices by their key."""
        return {context.notice_id: self.compose(context) for context in contexts}


def _keyed(words: Rendered) -> Rendered:
    card = orjson.dumps(words.card, option=orjson.OPT_SORT_KEYS).decode()
    said = "\x1f".join((words.subject, words.html, words.text, card))
    return replace(words, body_key=hashlib.blake2b(said.encode(), digest_size=16).hexdigest())
