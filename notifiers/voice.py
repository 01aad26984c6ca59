"""The templates of notices in one language, each compiled once, and what a page needs beyond a language."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import mrml
from jinja2 import DictLoader, Environment, FileSystemLoader, Template
from markupsafe import Markup, escape

from notifiers.language import Language
from notifiers.names import one_line

_SIDES = {"ltr": ("left", "right"), "rtl": ("right", "left")}
_WHOLE = Markup('<span style="display:inline-block">{}</span>')
"""On the next line rather than on two; broken only where it is wider than the page."""


class Voice:
    """The templates of notices in one language.

    Parameters
    ----------
    folder
        `templates/notices`, or an edited copy.
    language
        Theirs.
    """

    def __init__(self, folder: Path, language: Language) -> None:
        self.folder = folder
        self.language = language

    @cached_property
    def plain(self) -> Environment:
        """The environment of plain text, which is not escaped."""
        return self.language.environment(FileSystemLoader(self.folder), autoescape=False)

    @cached_property
    def text(self) -> Template:
        """A mail in plain text."""
        return self.plain.get_template("mail.txt.jinja")

    @cached_property
    def html(self) -> Template:
        """A mail as a page, laid out for the direction of writing."""
        source = (self.folder / "mail.mjml.jinja").read_text(encoding="utf-8")
        name = f"mail.{self.language.direction}.html"
        page = mrml.to_html(turned(source, self.language.direction)).content
        return self.language.environment(DictLoader({name: page}), autoescape=True).get_template(name)

    @cached_property
    def personal(self) -> object:
        """The macros of sentences that differ from person to person."""
        return self.plain.get_template("personal.jinja").make_module()

    def shell(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """Return what every notice says around its own words, each sentence on one line."""
        said = vars(self.plain.get_template("shell.jinja").make_module(dict(variables)))
        return {name: one_line(str(value)) for name, value in said.items() if not name.startswith("_")}


def turned(mjml: str, direction: str) -> str:
    """Return a layout for a direction of writing: ``[[start]]`` and ``[[end]]`` are left and right, or the reverse."""
    start, end = _SIDES[direction]
    return mjml.replace("[[direction]]", direction).replace("[[start]]", start).replace("[[end]]", end)


def kept_whole(sentence: str, *parts: str | None) -> Markup:
    """Return a sentence for a page on which a number or code that is read out does not break over two lines."""
    page = escape(sentence)
    for part in filter(None, parts):
        page = page.replace(escape(part), _WHOLE.format(part))
    return page
