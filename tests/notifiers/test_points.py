"""The twelve points that service mails most often lack: in each language, for each cause, signal, kind and reader."""

from __future__ import annotations

import re
from html import unescape

import pytest

from incidents.model import Cause, TroubleKind
from notifiers.compose import Composer
from notifiers.context import UNNAMED, Brand
from notifiers.language import Languages
from notifiers.links import Links
from notifiers.local_time import zone
from notifiers.model import reference
from notifiers.names import dialled
from notifiers.remedies import UNKNOWN
from notifiers.samples import BRAND, SINCE, sample
from telemetry.contract import Signal
from tests.conftest import ROOT

TAGS = Languages(ROOT / "templates" / "locales").tags
BARE = Brand(service_name="Lumen", reply_address="help@lumen.example")
CASES = [(kind, cause, signal) for kind in TroubleKind for cause in (*Cause, UNKNOWN) for signal in (*Signal, UNKNOWN)]
READERS = {
    "with links": (True, BRAND, False),
    "without links": (False, BARE, False),
    "no telephone": (True, BRAND, True),
}


def points_of(composer: Composer, tag: str, case: tuple[str, ...], brand: Brand, no_phone: bool) -> dict[str, str]:
    """Return what must stand in the mail, by the point that it makes, as the catalogue says it in this language."""
    kind, cause, signal = case
    language = composer.languages.of(tag)
    context = sample((kind, cause, signal, None, "smart_tv"), tag, brand, no_phone=no_phone).context
    remedy, sight = composer.remedies.best((kind, cause, signal, None, "smart_tv")), composer.remedies.sight(signal)
    contact = brand.reach(context.country, no_phone=no_phone)
    local = SINCE.astimezone(zone(context.timezone))
    phone = dialled(contact.phone) if contact.phone and language.direction == "rtl" else contact.phone
    said = {"service_name": "Lumen", "phone": phone, "reply_address": brand.reply_address}
    shell = composer._voice(language).shell(said | {"reference": reference(context.notice_id)})
    where = language.gettext(composer.remedies.where("smart_tv"))
    what = language.gettext(sight.what) % {"when": "|", "where": where}
    signed = composer.links is not None
    return {
        "what": what.split("|")[-1] if kind == TroubleKind.PROBLEM else "",
        "day": language.day(local),
        "time": language.time(local),
        "whose side": language.gettext(remedy.side) if remedy.side else "",
        "what to do": language.gettext(remedy.todo),
        "steps": language.gettext(remedy.steps[0].say) if remedy.steps else "",
        "what we do, and the next word": language.gettext(remedy.next),
        "reference": shell["reference_line"],
        "reach a person": shell["help"],
        "case": "/case/" if signed and not contact.chat_url else contact.chat_url or "",
        "why you got this": shell["why"],
        "stop it": shell["stop" if signed else "stop_by_reply"],
        "genuine": shell["genuine" if signed else "genuine_by_reference"],
        "feedback": shell["feedback" if signed else "feedback_by_reply"],
    }


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("tag", TAGS)
def test_every_mail_makes_the_twelve_points(tag, reader, composer):
    signed, brand, no_phone = READERS[reader]
    links = Links("https://notices.lumen.example", ["x" * 40]) if signed else None
    mine = Composer(composer.template_dir, composer.remedies, links)
    missing = []
    for case in CASES:
        kind, cause, signal = case
        context = sample((kind, cause, signal, None, "smart_tv"), tag, brand, no_phone=no_phone).context
        rendered = mine.compose(context)
        page = unescape(re.sub("</?span[^>]*>", "", rendered.html))
        points = points_of(mine, tag, case, brand, no_phone)
        missing += [(case, name) for name, said in points.items() if said not in rendered.text or said not in page]
        assert not re.search(r"%\(|\[\[|\{\{", rendered.text + rendered.subject)
        assert ("tel" not in reader) or "0800" not in rendered.text
    assert missing == []


@pytest.mark.parametrize("tag", TAGS)
def test_a_service_without_a_name_has_one_in_the_readers_language(tag, composer):
    rendered = composer.compose(sample(("problem", Cause.SERVICE, Signal.BUFFERING, None, None), tag, Brand()).context)
    said = composer.languages.of(tag).gettext("Your streaming service")
    assert said in unescape(rendered.html)
    assert UNNAMED not in rendered.text + rendered.html
    assert (said == "Your streaming service") == (tag == "en")
