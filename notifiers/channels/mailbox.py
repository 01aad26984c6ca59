"""A folder of mails with an index page: what would have been sent. The default without an API key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.message import Message as ParsedMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from notifiers.channels.contract import Receipt
from notifiers.errors import ChannelPaused
from notifiers.outbox import Message

SENDER = "notices@prebuffer.invalid"
"""A domain that can never exist (RFC 2606): a mail that leaks from here goes nowhere."""


@dataclass(frozen=True)
class Entry:
    """One mail on the index page."""

    name: str
    subject: str
    written_time: datetime


class Mailbox:
    """Writes each mail as ``<notice_id>.eml`` and ``.html``; writing one again gives the same bytes.

    Parameters
    ----------
    folder
        Made on first use. Its ``index.html`` lists every mail in it, newest first.
    template_dir
        The folder `templates/`, for the index page.
    """

    repeatable: ClassVar[bool] = True

    def __init__(self, folder: Path, template_dir: Path) -> None:
        self.folder = folder
        self.template_dir = template_dir

    @property
    def index(self) -> Path:
        """The page to open."""
        return self.folder / "index.html"

    def send(self, message: Message) -> Receipt:
        """Write one mail, each file whole or not at all."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / f"{message.notice_id}.html", message.html.encode())
            _write(self.folder / f"{message.notice_id}.eml", eml(message))
        except OSError as error:
            raise ChannelPaused(f"The mailbox cannot be written to ({error.strerror}).") from error
        return Receipt(message.notice_id)

    def finish(self) -> None:
        """Write the index page anew from the mails that are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = Environment(
            loader=FileSystemLoader(self.template_dir),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        page = environment.get_template("mailbox/index.html.jinja").render(entries=self._entries())
        _write(self.index, page.encode())

    def _entries(self) -> list[Entry]:
        entries = [_entry(path) for path in self.folder.glob("*.eml")]
        return sorted(entries, key=lambda entry: (entry.written_time, entry.name), reverse=True)


def eml(message: Message) -> bytes:
    """Return the mail as RFC 5322 bytes, which depend on nothing but the message."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = SENDER
    mail["To"] = message.address
    mail["Subject"] = message.subject
    mail["Date"] = message.queued_time
    mail["Message-ID"] = f"<{message.notice_id}@prebuffer.invalid>"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    mail.set_boundary(f"notice-{message.notice_id}")
    return mail.as_bytes()


def _entry(path: Path) -> Entry:
    with path.open("rb") as file:
        headers: ParsedMessage = BytesHeaderParser(policy=SMTP).parse(file)
    return Entry(path.stem, str(headers["Subject"]), parsedate_to_datetime(str(headers["Date"])))


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step; what a crash leaves of an attempt is overwritten by the next."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
