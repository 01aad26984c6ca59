"""Renders the console's pages from ``templates/console``; charts and words are the report's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from console.report import words as report_words
from console.support import words
from console.web.headers import policy_with_scripts
from console.web.pages import version_of
from notifiers.language import COMPILED

POLICY = f"{policy_with_scripts()}; frame-src 'self'"
"""Scripts and styles from our own files only; frames show nothing but our own previews."""
MOUNT = "/console"
DOOR = "sign-in"
STAGE = "/stage"
"""Where the consoles of drills are, under the real one."""


class Templates:
    """The console's templates, each compiled once.

    Parameters
    ----------
    template_dir
        The folder `templates/` of this repository, or an edited copy.
    service_name
        The streaming service.
    public_url
        Where the app is reached; only its path is used.
    at
        The path at which the console is, if it is not right under the app.
    """

    def __init__(self, template_dir: Path, service_name: str, public_url: str | None, at: str | None = None) -> None:
        self.template_dir = template_dir
        self.at = at or urlsplit(public_url or "").path.rstrip("/") + MOUNT
        self.environment = Environment(
            loader=FileSystemLoader([template_dir / "console", template_dir / "report"]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            bytecode_cache=COMPILED[True],
        )
        self.environment.globals.update(
            at=self.at,
            service_name=service_name,
            version=version_of([self.report_style, *sorted(self.static_dir.glob("*"))]),
            words=report_words,
            say=words,
            link=self.link,
        )

    @property
    def static_dir(self) -> Path:
        """Styles and scripts, served as they are."""
        return self.template_dir / "console" / "static"

    @property
    def report_style(self) -> Path:
        """The report's style, which the console shares."""
        return self.template_dir / "report" / "style.css"

    def link(self, *path: str, **query: object) -> str:
        """Return an address inside the console; what is None or empty is left out of the query.

        The door of a drill's console is that of the real one: a provider knows no other.
        """
        given = {name: value for name, value in query.items() if value not in (None, "")}
        at = self.at.partition(STAGE)[0] if path[:1] == (DOOR,) else self.at
        return f"{at}/{'/'.join(quote(part, safe='') for part in path)}" + (f"?{urlencode(given)}" if given else "")

    def render(
        self,
        template: str,
        status: int = 200,
        *,
        now: datetime,
        headers: Mapping[str, str] | None = None,
        **values: Any,  # noqa: ANN401 - a template's variables are of any type
    ) -> HTMLResponse:
        """Return a page.

        Parameters
        ----------
        template
            A file in ``templates/console``.
        status
            Of the answer.
        now
            When the page is made.
        headers
            More of them.
        values
            What the template may say; escaped.
        """
        frame = {"visitor": None, "frame": None, "form_token": "", "now": now} | values
        policy = {"Content-Security-Policy": POLICY, **(headers or {})}
        return HTMLResponse(self.environment.get_template(template).render(frame), status, policy)
