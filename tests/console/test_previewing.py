"""The writers' preview: every choice shows something, a save shows at once, a mistake is a sentence."""

from __future__ import annotations

import re
import shutil

import httpx
import pytest

from console.previewing import READERS, make_preview
from tests.serving import serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("templates")
    for name in ("notices", "locales", "preview"):
        shutil.copytree(root / "templates" / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def preview(folder):
    with serving(make_preview(folder)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_the_page_offers_every_notice_reader_and_form(preview):
    page = preview.get("/").text
    assert page.count("<option") > 450
    assert "In style." in page
    assert page.count("<iframe") == 2


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_can_be_shown(preview, reader):
    answer = preview.get("/notice/mail", params={"reader": reader, "notice": "problem, household, buffering"})
    assert answer.status_code == 200
    assert "<script>" not in answer.text


@pytest.mark.parametrize(("form", "said"), [("text", "Reference:"), ("card", '"steps"'), ("mail", "<html")])
def test_every_form_can_be_shown(preview, form, said):
    assert said in preview.get(f"/notice/{form}").text


def test_what_nobody_offers_shows_the_first(preview):
    assert preview.get("/", params={"notice": "<script>", "width": "9", "language": "tlh"}).status_code == 200


def test_a_save_is_shown_and_a_mistake_is_a_sentence(preview, folder):
    shell = folder / "notices" / "shell.jinja"
    good, before = shell.read_text(), preview.get("/version").text
    shell.write_text(good.replace("Need help? Reply", "Help is near: reply"))
    assert preview.get("/version").text != before
    assert "Help is near: reply" in preview.get("/notice/text").text
    shell.write_text(good + "{% if %}")
    page = preview.get("/")
    assert page.status_code == 200
    assert re.search(r"shell.jinja, line \d+: Expected an expression", page.text)
    assert preview.get("/notice/text").status_code == 500
    shell.write_text(good)
    assert "Need help? Reply" in preview.get("/notice/text").text


def test_only_this_machine_is_answered(preview):
    assert preview.get("/", headers={"Host": "evil.example"}).status_code == 400
