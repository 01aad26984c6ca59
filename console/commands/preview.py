"""``prebuffer preview``: read a notice before anybody gets it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from config.bootstrap import make_composer, open_ledger, template_folder
from config.pipeline import PipelineError
from config.settings import Settings
from console.arguments import ConfigOption
from console.opening import now, settings_of
from console.output import complain, say
from console.previewing import make_preview
from incidents.model import Cause, Incident, TroubleKind
from notifiers.compose import NoticeContext, Rendered
from notifiers.model import notice_id
from telemetry.contract import Signal


class Form(StrEnum):
    """A form of a notice."""

    HTML = "html"
    TEXT = "text"
    SUBJECT = "subject"
    CARD = "card"


SAMPLE_PERSON = "sample-subscriber"
CauseOption = Annotated[Cause, typer.Option("--cause", help="Whose side the problem is on.")]
ProblemOption = Annotated[Signal, typer.Option("--problem", help="What is wrong.")]
KindOption = Annotated[TroubleKind, typer.Option("--kind", help="The problem, or that it is over.")]
IncidentOption = Annotated[
    str | None,
    typer.Option("--incident", help="Take problem, cause and time from this incident.", show_default=False),
]
FormOption = Annotated[Form, typer.Option("--format", help="Which form of the notice.")]
LocaleOption = Annotated[str, typer.Option("--locale", help="The reader's, such as en-GB.")]
NameOption = Annotated[str, typer.Option("--name", help="The reader's display name.")]
NoPhoneOption = Annotated[bool, typer.Option("--no-phone", help="The reader cannot or will not use a telephone.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write to this file instead of standard output.", show_default=False),
]


ServeOption = Annotated[
    bool, typer.Option("--serve", help="Every notice in a browser on this machine, shown again when a file is saved.")
]
PortOption = Annotated[int, typer.Option("--port", help="Where to serve.")]
LOOPBACK = "127.0.0.1"


def preview(
    *,
    cause: CauseOption = Cause.SERVICE,
    problem: ProblemOption = Signal.BUFFERING,
    kind: KindOption = TroubleKind.PROBLEM,
    incident: IncidentOption = None,
    form: FormOption = Form.TEXT,
    locale: LocaleOption = "en",
    name: NameOption = "Sam",
    no_phone: NoPhoneOption = False,
    file: OutOption = None,
    serve: ServeOption = False,
    port: PortOption = 8300,
    config: ConfigOption = None,
) -> None:
    """Render a notice for a sample reader, about a sample problem or a real incident; or serve them all.

    Examples:
        prebuffer preview --cause isp --problem failure

        prebuffer preview --kind all_clear --format html --out all-clear.html

        prebuffer preview --incident inc-0123456789ab --format subject

        prebuffer preview --serve
    """
    settings = settings_of(config)
    if serve:
        _serve(settings, port)
        return
    context = NoticeContext(
        notice_id=notice_id(SAMPLE_PERSON, incident or "sample", kind),
        kind=kind,
        problem=problem,
        cause=cause,
        since=now() - timedelta(hours=1),
        impaired=2,
        sessions=3,
        brand=settings.brand.brand,
        display_name=name,
        locale=locale,
        no_phone=no_phone,
    )
    if incident is not None:
        found = _find(settings, incident)
        context = replace(context, problem=found.signal, cause=found.verdict.cause, since=found.onset_time)
    rendered = make_composer(settings).compose(context)
    _hand_over(_in_form(rendered, form), file)


def _serve(settings: Settings, port: int) -> None:
    app = make_preview(template_folder(settings), settings.paths.remedies)
    complain(f"Open http://{LOOPBACK}:{port}/ ; it is shown again when a file is saved. Stop with Ctrl-C.")
    uvicorn.run(app, host=LOOPBACK, port=port, log_level="warning", access_log=False)


def _find(settings: Settings, incident_id: str) -> Incident:
    with open_ledger(settings) as ledger:
        incident = ledger.incident(incident_id)
    if incident is None:
        raise PipelineError(f"The ledger has no incident {incident_id}.")
    return incident


def _in_form(rendered: Rendered, form: Form) -> str:
    if form is Form.CARD:
        return json.dumps(dict(rendered.card), ensure_ascii=False, indent=2)
    return {Form.HTML: rendered.html, Form.TEXT: rendered.text, Form.SUBJECT: rendered.subject}[form]


def _hand_over(notice: str, file: Path | None) -> None:
    if file is None:
        say(notice)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(notice, encoding="utf-8")
    say(str(file))
