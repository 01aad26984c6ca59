"""The preview for writers: any notice, language, width and theme in a browser, shown again whenever a file is saved.

For this machine only: it answers on loopback, to requests that name loopback, and reads nothing but the templates, the
remedies and made-up readers.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from config.reading import SettingsError
from config.remedies import DEFAULT_REMEDIES, read_remedies
from notifiers.compose import Composer, Rendered
from notifiers.context import NoticeContext
from notifiers.language import CatalogueError
from notifiers.links import Links
from notifiers.samples import HOSTILE, distinct_cases, hostile, sample
from notifiers.style import body_of, complaints, count_words

LINKS = Links("https://notices.lumen.example", ["shown to writers, and good for nothing"])
HOSTS = ("127.0.0.1", "localhost", "[::1]")
WIDTHS = ("320", "375", "640")
THEMES = ("both", "light", "dark")
FORMS = ("mail", "text", "card")
READERS = ("real", *HOSTILE, "nothing known")
MISTAKES = (SettingsError, CatalogueError, TemplateError, OSError)
"""What a half-saved file leads to: said on the page, which tries again at the next save."""


class Workshop:
    """The words as they are on disk now.

    Parameters
    ----------
    template_dir, remedies
        The folder of templates, and the file of remedies (the packaged one if None).
    """

    def __init__(self, template_dir: Path, remedies: Path | None = None) -> None:
        self.template_dir = template_dir
        self.remedies = remedies or DEFAULT_REMEDIES
        self._built: tuple[str, Composer] | None = None

    def version(self) -> str:
        """Return a text that changes whenever a file is saved, added or removed."""
        folders = (self.template_dir / name for name in ("notices", "locales"))
        files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
        seen = ((str(path), path.stat().st_mtime_ns) for path in (*files, self.remedies))
        return hashlib.blake2b(repr(list(seen)).encode(), digest_size=8).hexdigest()

    def composer(self) -> Composer:
        """Return what renders the files of now; raise one of `MISTAKES` where they cannot be used."""
        version = self.version()
        if self._built is None or self._built[0] != version:
            composer = Composer(self.template_dir, read_remedies(self.remedies), LINKS)
            composer.languages.check()
            self._built = (version, composer)
        return self._built[1]


class Choice:
    """What a writer asked to see; anything unknown is the first of its kind."""

    def __init__(self, composer: Composer, asked: dict[str, str]) -> None:
        cases = distinct_cases(composer.remedies)
        self.cases = {", ".join(str(value) for value in case if value is not None): case for case in cases}
        self.controls = {
            "notice": [(name, name) for name in self.cases],
            "reader": [(name, name) for name in READERS],
            "language": [(tag, tag) for tag in composer.languages.tags],
            "form": [(name, name) for name in FORMS],
            "width": [(name, f"{name} px") for name in WIDTHS],
            "theme": [(name, name) for name in THEMES],
        }
        self.chosen = {name: _known(asked.get(name), values) for name, values in self.controls.items()}
        self.composer = composer

    def context(self) -> NoticeContext:
        """Return the sample that is asked for."""
        case, tag = self.cases[self.chosen["notice"]], self.chosen["language"]
        reader = self.chosen["reader"]
        if reader == "real":
            return sample(case, tag).context
        return next(it.context for it in hostile(case, tag) if it.name.endswith(f", {reader}"))

    def rendered(self) -> Rendered:
        """Return its words."""
        return self.composer.compose(self.context())

    def page(self) -> dict[str, Any]:
        """Return what the page around it says."""
        rendered, language = self.rendered(), self.composer.languages.of(self.chosen["language"])
        theme = self.chosen["theme"]
        return {
            "subject": rendered.subject,
            "words": count_words(body_of(rendered.text), language),
            "complaints": list(complaints(rendered, language)),
            "themes": THEMES[1:] if theme == "both" else (theme,),
            "query": urlencode(self.chosen),
            "controls": self.controls,
            "chosen": self.chosen,
        }


def make_preview(template_dir: Path, remedies: Path | None = None) -> FastAPI:
    """Build the preview.

    Parameters
    ----------
    template_dir, remedies
        See `Workshop`.
    """
    workshop = Workshop(template_dir, remedies)
    folder = template_dir / "preview"
    pages = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    app = FastAPI(title="Preview of notices", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))

    @app.get("/")
    def show(request: Request) -> HTMLResponse:
        """Show a notice, and what the style check says of it."""
        frame: dict[str, Any] = {"version": workshop.version(), "broken": None, "controls": {}}
        try:
            frame |= Choice(workshop.composer(), dict(request.query_params)).page()
        except MISTAKES as error:
            frame["broken"] = _sentence(error)
        return HTMLResponse(pages.get_template("page.html.jinja").render(frame))

    @app.get("/version")
    def version() -> PlainTextResponse:
        """Say which state of the files is shown."""
        return PlainTextResponse(workshop.version(), headers={"Cache-Control": "no-store"})

    @app.get("/notice/{form}")
    def notice(form: str, request: Request) -> Response:
        """Return the notice alone."""
        try:
            return _in_form(Choice(workshop.composer(), dict(request.query_params)).rendered(), form)
        except MISTAKES as error:
            return PlainTextResponse(_sentence(error), status_code=500)

    app.mount("/static", StaticFiles(directory=folder), name="static")
    return app


def _in_form(rendered: Rendered, form: str) -> Response:
    if form == "text":
        return PlainTextResponse(f"{rendered.subject}\n\n{rendered.text}")
    if form == "card":
        return JSONResponse(json.loads(json.dumps(dict(rendered.card))))
    return HTMLResponse(rendered.html)


def _known(asked: str | None, values: list[tuple[str, str]]) -> str:
    return asked if asked is not None and any(asked == value for value, _ in values) else values[0][0]


def _sentence(error: Exception) -> str:
    line = getattr(error, "lineno", None)
    where = f"{getattr(error, 'name', None) or 'A template'}, line {line}: " if line else ""
    return f"{where}{error}"
