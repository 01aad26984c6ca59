"""The style check: it finds nothing in what we send, and finds each fault that is put in."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from config.remedies import read_remedies
from notifiers.catalogues import extract, update, write
from notifiers.compose import Composer
from notifiers.language import CatalogueError, Languages, read_catalogue
from notifiers.links import Links
from notifiers.remedies import every_case
from notifiers.samples import HOSTILE, distinct_cases, hostile, sample, shape_cases
from notifiers.style import complaints, count_words, reading_grade, syllables
from notifiers.wording import check_all, check_catalogues, check_layout


@pytest.fixture(scope="module")
def signing(root) -> Composer:
    return Composer(root / "templates", read_remedies(), Links("https://notices.lumen.example", ["x" * 40]))


@pytest.fixture(scope="module")
def mjml(root):
    folder = root / "tests" / "npm" / "node_modules" / "mjml"
    if not folder.is_dir() or shutil.which("node") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Node and MJML are required in CI: make browser installs them.")
        pytest.skip("Node or MJML is not installed: make browser installs them.")
    return folder


def test_every_notice_in_every_language_is_in_style(signing):
    found = check_all(signing)
    assert found.problems == ()
    assert found.notices > 500 * found.languages


def test_without_a_web_app_they_are_too(composer):
    english = composer.languages.of("en")
    every = [sample(case, "en") for case in shape_cases()]
    assert [(it.name, list(complaints(composer.compose(it.context), english))) for it in every if list(
        complaints(composer.compose(it.context), english))] == []  # fmt: skip


def test_samples_are_all_that_can_be_said(composer):
    remedies = composer.remedies
    said = {remedies.best(case) for case in distinct_cases(remedies)}
    assert said == {remedies.best(case) for case in every_case(("network", "auth", "geo", "payment", "device_limit",
                                                               "entitlement", "drm", "app"))}  # fmt: skip
    assert len(list(hostile(shape_cases()[0], "en"))) == len(HOSTILE) + 1


FAULTS = [
    ({"subject": "x" * 60}, "the subject has 60 characters"),
    ({"subject": "Your video kept pausing!"}, 'alarms: "!"'),
    ({"subject": "Urgent: your video"}, "alarms"),
    ({"text": "word " * 121}, "121 words"),
    ({"text": "Dear %(name)s."}, "left over"),
    ({"text": "This is your fault."}, "blames the reader"),
    ({"text": "Upgrade to Premium."}, "sells"),
    ({"text": "It is over within 2 hours."}, "promises a time"),
    ({"text": "Please send us your password."}, "asks for a secret"),
    ({"text": "The CDN was slow."}, "plain word"),
    ({"text": "Notwithstanding considerable infrastructural heterogeneity, interoperability deteriorated."}, "grade"),
    ({"text": "Nobody wrote this in the page."}, "the page lacks a line"),
    ({"html": '<html lang="en" dir="ltr"><body><a href="https://x.example">here</a></body>'}, 'is called "here"'),
    ({"html": '<html lang="en" dir="ltr"><body><a href="https://x.example">Help</a></body>'}, "the text lacks a link"),
    ({"html": '<html lang="de" dir="ltr"><body></body>'}, "language and direction"),
    ({"html": '<html lang="en"><body>' + 2 * '<a style="background:#fff" href="/">Do</a>'}, "2 actions"),
]


@pytest.mark.parametrize(("change", "complaint"), FAULTS, ids=[said for _, said in FAULTS])
def test_each_fault_is_found(change, complaint, composer, context):
    rendered, english = composer.compose(context()), composer.languages.of("en")
    assert not [it for it in complaints(rendered, english) if complaint in it]
    assert [it for it in complaints(replace(rendered, **change), english) if complaint in it]


def test_a_jargon_word_may_follow_the_plain_one(composer, context):
    rendered, english = composer.compose(context()), composer.languages.of("en")
    said = replace(rendered, text="If you hide where you are (with a VPN), switch that off.")
    assert not [it for it in complaints(said, english) if "plain word" in it]


def test_words_are_counted_as_they_are_read(composer):
    languages = composer.languages
    assert count_words("one two\nthree", languages.of("en")) == 3
    japanese = replace(languages.of("en"), tag="ja")
    assert count_words("Besoin d’aide ? « Oui » !", languages.of("en")) == 3
    assert count_words("動画が 何度も止まりました", japanese) == 5
    assert count_words("受付番号：ABCD-EFGH-IJKL", japanese) == 3


def test_longer_words_and_sentences_read_harder():
    assert [syllables(word) for word in ("cat", "watched", "router", "television")] == [1, 1, 2, 4]
    assert reading_grade("The cat sat. The dog ran.") < reading_grade("The cat sat and the dog ran to the far shore.")
    assert reading_grade("") == 0.0


def test_the_layout_pleases_mjml_in_strict_mode(mjml, root, tmp_path):
    layout = root / "templates" / "notices" / "mail.mjml.jinja"
    assert list(check_layout(layout, mjml)) == []
    broken = tmp_path / "mail.mjml.jinja"
    broken.write_text(layout.read_text().replace("<mj-column>", '<mj-column wobble="1">'))
    assert "wobble" in next(iter(check_layout(broken, mjml)))


@pytest.fixture
def template_dir(tmp_path, root):
    shutil.copytree(root / "templates" / "notices", tmp_path / "notices")
    return tmp_path


def test_a_new_language_is_begun_kept_and_complained_of_until_it_is_done(template_dir, composer):
    source = extract(template_dir, composer.remedies)
    write(source, template_dir / "locales" / "notices.pot")
    assert list(check_catalogues(template_dir / "locales", source)) == []
    path = update(template_dir, "pl", source)
    found = list(check_catalogues(template_dir / "locales", source))
    assert len(found) == len(source)
    assert 'pl: "Your video kept pausing" is not translated.' in found
    path.write_text(path.read_text().replace('"Your video kept pausing"\nmsgstr ""', '"Your video kept pausing"\n'
                                             'msgstr "Film się zacinał"'))  # fmt: skip
    update(template_dir, "pl", source)
    assert len(list(check_catalogues(template_dir / "locales", source))) == len(source) - 1
    assert Languages(template_dir / "locales").tags == ("en",)


def test_a_finished_language_is_written_in_and_a_wrong_placeholder_is_found(template_dir, composer):
    source = extract(template_dir, composer.remedies)
    write(source, template_dir / "locales" / "notices.pot")
    path = update(template_dir, "pl", source)
    catalog = read_catalogue(path)
    for message in catalog:
        if message.id:
            first = message.id if isinstance(message.id, str) else message.id[1]
            message.string = f"pl {first}" if isinstance(message.id, str) else (f"pl {first}",) * 3
    write(catalog, path)
    assert list(check_catalogues(template_dir / "locales", source)) == []
    polish = Composer(template_dir, composer.remedies)
    assert polish.compose(sample(shape_cases()[0], "pl").context).text.startswith("pl Hello Ada,")
    path.write_text(path.read_text().replace("pl Hello %(name)s", "pl Hello %(nom)s"))
    assert list(check_catalogues(template_dir / "locales", source)) == [
        'pl: "Hello %(name)s," and its translation differ in %(name)s.'
    ]


def test_the_file_for_translators_is_what_the_templates_say(root, composer):
    source = extract(root / "templates", composer.remedies)
    assert list(check_catalogues(root / "templates" / "locales", source)) == []


def test_a_changed_sentence_is_a_guess_until_somebody_looked(template_dir, composer):
    source = extract(template_dir, composer.remedies)
    path = update(template_dir, "pl", source)
    path.write_text(path.read_text().replace('msgid "Stop these notices"\nmsgstr ""', 'msgid "Stop those notices"\n'
                                             'msgstr "Nie pisz"'))  # fmt: skip
    update(template_dir, "pl", source)
    write(source, template_dir / "locales" / "notices.pot")
    found = list(check_catalogues(template_dir / "locales", source))
    assert 'pl: "Stop these notices" is only guessed at.' in found


@pytest.mark.parametrize("language", ["klingon-warrior", "../x", "", "12"])
def test_a_language_that_is_none_is_refused(language, template_dir, composer):
    with pytest.raises(CatalogueError, match="is no language"):
        update(template_dir, language, extract(template_dir, composer.remedies))
