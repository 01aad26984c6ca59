"""Renders pages for people: plain HTML from ``templates/pages``, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse

from notifiers.context import UNNAMED
from notifiers.language import SOURCE_LANGUAGE, Languages, primary

NOBODY = "Your streaming service"
"""Stands above a page of a service that was given no name."""
IN_GENERAL = "The request cannot be answered."
"""What is said where there is no sentence in a reader's language for what went wrong."""


class Pages:
    """Templates of pages, each compiled once.

    Parameters
    ----------
    template_dir
        The folder `templates/` of this repository, or an edited copy.
    service_name
        The streaming service, as its subscribers know it.
    public_url
        Where the app is reached; only its path is used, for links within the app.
    """

    def __init__(self, template_dir: Path, service_name: str, public_url: str | None) -> None:
        self.template_dir = template_dir
        self.languages = Languages(template_dir / "locales")
        base = urlsplit(public_url or "").path.rstrip("/")
        self.host = urlsplit(public_url or "").hostname
        self.frame = {
            "service_name": service_name,
            "base": base,
            "version": version_of(sorted(self.static_dir.glob("*"))),
        }
        self._environments: dict[str, Environment] = {}

    @property
    def static_dir(self) -> Path:
        """Styles and scripts, served as they are."""
        return self.template_dir / "pages" / "static"

    def render(
        self,
        name: str,
        status: int = 200,
        *,
        language: str | None = None,
        headers: Mapping[str, str] | None = None,
        **values: Any,  # noqa: ANN401 - a template's variables are of any type
    ) -> HTMLResponse:
        """Return a page.

        Parameters
        ----------
        name
            Of a template in ``templates/pages``.
        status
            Of the answer.
        language
            The reader's locale, if it is known; untrusted.
        headers
            More of them.
        values
            What the template may say; escaped.
        """
        page = self._environment(language).get_template(name).render(values)
        return HTMLResponse(page, status, headers)

    def problem(
        self,
        status: int,
        sentence: str,
        headers: Mapping[str, str],
        language: str | None = None,
        values: Mapping[str, object] | None = None,
    ) -> HTMLResponse:
        """Return a page that says why there is nothing else to see, in general where nobody translated the reason."""
        spoken = self.languages.of(language)
        said = spoken.gettext(sentence)
        if said == sentence and primary(spoken.tag) != SOURCE_LANGUAGE:
            said = spoken.gettext(IN_GENERAL)
        said = said % values if values else said
        return self.render("problem.html.jinja", status, language=language, headers=headers, sentence=said)

    def _environment(self, locale: str | None) -> Environment:
        """Return the templates in a reader's language, made once for each of them."""
        language = self.languages.of(locale)
        key = str(language.locale)
        if key not in self._environments:
            loader = FileSystemLoader(self.template_dir / "pages")
            self._environments[key] = language.environment(loader, autoescape=True)
            self._environments[key].globals.update(self.frame)
            if self.frame["service_name"] == UNNAMED:
                self._environments[key].globals["service_name"] = language.gettext(NOBODY)
        return self._environments[key]


def version_of(files: Iterable[Path]) -> str:
    """Return a short text that changes with the styles and scripts in some files, so that browsers may keep them."""
    digest = blake2b(digest_size=6)
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
