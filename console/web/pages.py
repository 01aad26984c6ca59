"""Renders pages for people: plain HTML from ``templates/pages``, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ps", "ur", "yi"})


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
        self.environment = Environment(
            loader=FileSystemLoader(template_dir / "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        self.environment.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
        base = urlsplit(public_url or "").path.rstrip("/")
        self.environment.globals.update(service_name=service_name, base=base, version=self._version())

    @property
    def static_dir(self) -> Path:
        """Styles and scripts, served as they are."""
        return self.template_dir / "pages" / "static"

    def render(
        self,
        name: str,
        status: int = 200,
        *,
        language: str = "en",
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
            A language tag, from which the direction of the text follows.
        headers
            More of them.
        values
            What the template may say; escaped.
        """
        direction = "rtl" if language.partition("-")[0] in RIGHT_TO_LEFT else "ltr"
        frame = {"language": language, "direction": direction} | values
        return HTMLResponse(self.environment.get_template(name).render(frame), status, headers)

    def problem(self, status: int, sentence: str, headers: Mapping[str, str]) -> HTMLResponse:
        """Return a page that says why there is nothing else to see."""
        return self.render("problem.html.jinja", status, headers=headers, sentence=sentence)

    def _version(self) -> str:
        """Return a short text that changes with the styles and scripts, so that browsers may keep them."""
        digest = blake2b(digest_size=6)
        for path in sorted(self.static_dir.glob("*")):
            digest.update(path.read_bytes())
        return digest.hexdigest()
