"""Names and other text from outside, made fit to be said back to a person."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_LENGTH = 40
"""A greeting stays on one line of a telephone's screen; longer names are rarely what people are called."""
_IN_NAMES = frozenset(" '’.,-&\"·")
_LETTERS_AND_MARKS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})
_LEFT_TO_RIGHT_ISOLATE, _FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2066", "\u2068", "\u2069"
_NO_BREAK_SPACE = "\u00a0"
_BLANKS = re.compile(r"[^\S\u00a0]+")


def one_line(text: str) -> str:
    """Return text on one line: control characters and line breaks become blanks, and blanks single.

    Blanks at which no line may break stay: French has one before a colon.
    """
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return _BLANKS.sub(" ", text).strip()


def _visible(text: str) -> str:
    """Return text without characters that format, turn round or mean nothing."""
    if text.isprintable():
        return text
    return "".join(c for c in text if not unicodedata.category(c).startswith("C"))


def greeting_name(display_name: str | None) -> str | None:
    """Return what to call a person, or None where the display name is no name: empty, endless, markup, code.

    A name in a right-to-left script is isolated, so that it cannot turn round the words beside it.
    """
    if not display_name:
        return None
    name = _visible(one_line(display_name[: 4 * MAX_NAME_LENGTH])).strip()
    if len(name) > MAX_NAME_LENGTH or not any(c.isalpha() for c in name) or not all(map(_in_a_name, name)):
        return None
    return f"{_FIRST_STRONG_ISOLATE}{name}{_POP_ISOLATE}" if _has_right_to_left(name) else name


def _in_a_name(character: str) -> bool:
    return character in _IN_NAMES or unicodedata.category(character) in _LETTERS_AND_MARKS


def _has_right_to_left(text: str) -> bool:
    return not text.isascii() and any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)


def dialled(phone: str) -> str:
    """Return a telephone number for a page from right to left: its groups stay in order, and on one line."""
    return _LEFT_TO_RIGHT_ISOLATE + phone.replace(" ", _NO_BREAK_SPACE) + _POP_ISOLATE
