"""A folder of mails with an index page: what would have been sent. The default without an API key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.charset import QP, Charset
from email.header import Header, decode_header, make_header
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from notifiers.channels.contract import Receipt, one_by_one
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
    """Writes each mail as ``<message_id>.eml`` and ``.html``; writing one again gives the same bytes.

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

    def bundle(self, messages: Sequence[Message]) -> list[list[Message]]:
        """Each mail has files of its own."""
        return one_by_one(messages)

    def send(self, *messages: Message) -> Receipt:
        """Write a mail, each file whole or not at all."""
        with self._open_folder():
            for message in map(Message.filled, messages):
                _write(self.folder / f"{message.message_id}.html", message.html.encode())
                _write(self.folder / f"{message.message_id}.eml", eml(message))
        return Receipt(messages[0].message_id)

    def finish(self) -> None:
        """Write the index page anew from the mails that are there."""
        environment = Environment(
            loader=FileSystemLoader(self.template_dir),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        template = environment.get_template("mailbox/index.html.jinja")
        with self._open_folder():
            _write(self.index, template.render(entries=self._entries()).encode())

    @contextmanager
    def _open_folder(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise ChannelPaused(f"The mailbox cannot be written to ({error.strerror}).") from error

    def _entries(self) -> list[Entry]:
        entries = [_entry(path) for path in self.folder.glob("*.eml")]
        return sorted(entries, key=lambda entry: (entry.written_time, entry.name), reverse=True)


def _readable_utf8() -> Charset:
    """UTF-8 that somebody who opens the file can read, unlike the library's default, base64."""
    charset = Charset("utf-8")
    charset.body_encoding = QP
    return charset


UTF8 = _readable_utf8()
CRLF = compat32.clone(linesep="\r\n")
"""The older of the library's two kinds of mail: several times as fast, and enough for what we write."""


def eml(message: Message) -> bytes:
    """Return the mail as RFC 5322 bytes, which depend on nothing but the message."""
    mail = MIMEMultipart("alternative", boundary=f"notice-{message.message_id}")
    mail["From"] = SENDER
    mail["To"] = message.address or ""
    mail["Subject"] = Header(message.subject, None if message.subject.isascii() else "utf-8").encode()
    mail["Date"] = format_datetime(message.queued_time)
    mail["Message-ID"] = f"<{message.message_id}@prebuffer.invalid>"
    mail.attach(_part("plain", message.text))
    mail.attach(_part("html", message.html))
    return mail.as_bytes(policy=CRLF)


def _part(subtype: str, text: str) -> MIMENonMultipart:
    part = MIMENonMultipart("text", subtype)
    part.set_payload(text, UTF8)
    return part


def _entry(path: Path) -> Entry:
    with path.open("rb") as file:
        headers = BytesHeaderParser().parse(file)
    subject = str(make_header(decode_header(headers["Subject"])))
    return Entry(path.stem, subject, parsedate_to_datetime(headers["Date"]))


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step; what a crash leaves of an attempt is overwritten by the next."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
