"""Languages: which one a reader gets, how it writes days and times, and what is wrong with a broken catalogue."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader

from notifiers.language import CatalogueError, Languages, cleaned

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
POLISH = '"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\\n"\n'
FILES = {
    "de": '\nmsgid "Hello"\nmsgstr "Guten Tag"\n\nmsgid "Bye"\nmsgstr "Auf Wiedersehen"\n',
    "de-AT": '\nmsgid "Hello"\nmsgstr "Grüß Gott"\n',
    "fr": '\nmsgid "Hello"\nmsgstr "Bonjour"\n\n#, fuzzy\nmsgid "Bye"\nmsgstr "Faux"\n'
    + "".join(f'\nmsgid "{number}"\nmsgstr "{number}"\n' for number in range(20))
    + '\nmsgid "Dear %(name)s"\nmsgstr "Cher %(nom)s"\n',
    "pt-BR": '\nmsgid "Hello"\nmsgstr "Olá"\n',
    "es": '\nmsgid "Hello"\nmsgstr "Hola"\n',
    "he": '\nmsgctxt "noon"\nmsgid "Hello"\nmsgstr "צהריים טובים"\n',
    "ar": '\nmsgid "Hello"\nmsgstr ""\n',
    "pl": POLISH
    + '\nmsgid "%(num)s time"\nmsgid_plural "%(num)s times"\n'
    + 'msgstr[0] "%(num)s raz"\nmsgstr[1] "%(num)s razy"\nmsgstr[2] "%(num)s razów"\n',
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("locales")
    for tag, body in FILES.items():
        (folder / tag).mkdir()
        (folder / tag / "notices.po").write_text(HEADER + body, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def languages(folder) -> Languages:
    return Languages(folder)


@pytest.mark.parametrize(
    ("locale", "tag", "known"),
    [
        (None, "en", True),
        ("", "en", True),
        ("en-GB", "en", True),
        ("de", "de", True),
        ("DE_at", "de-AT", True),
        ("de_CH.UTF-8", "de", True),
        ("de-Latn-AT", "de", True),
        ("pt", "pt-BR", True),
        ("pt-PT", "pt-BR", True),
        ("iw-IL", "he", True),
        ("tlh-US", "en", False),
        ("../../etc/passwd", "en", False),
        ("x" * 10_000, "en", False),
        ("{{ 7 * 7 }}", "en", False),
    ],
)
def test_a_reader_gets_the_nearest_language(languages, locale, tag, known):
    language = languages.of(locale)
    assert (language.tag, language.known) == (tag, known)


def test_a_sentence_falls_back_to_the_language_and_then_to_english(languages):
    austrian = languages.of("de-AT")
    assert [austrian.gettext(it) for it in ("Hello", "Bye", "Never translated")] == [
        "Grüß Gott",
        "Auf Wiedersehen",
        "Never translated",
    ]


def test_a_guess_of_a_translation_and_one_with_a_wrong_placeholder_are_never_sent(languages):
    french = languages.of("fr")
    assert [french.gettext(it) for it in ("Hello", "Bye", "Dear %(name)s")] == ["Bonjour", "Bye", "Dear %(name)s"]


def test_a_language_of_which_little_is_written_is_none_yet(languages):
    assert "ar" not in languages.tags
    assert (languages.of("ar").tag, languages.of("ar").known) == ("en", False)


def test_a_context_parts_what_english_says_alike(languages):
    assert languages.of("he").pgettext("noon", "Hello") == "צהריים טובים"
    assert languages.of("he").gettext("Hello") == "Hello"


@pytest.mark.parametrize(("count", "said"), [(1, "1 raz"), (3, "3 razy"), (5, "5 razów"), (22, "22 razy")])
def test_plurals_follow_the_languages_own_rules(languages, count, said):
    template = "{% trans num=count %}{{ num }} time{% pluralize %}{{ num }} times{% endtrans %}"
    environment = languages.of("pl").environment(DictLoader({"it": template}), autoescape=True)
    assert environment.get_template("it").render(count=count) == said


def test_direction_is_the_scripts(languages):
    assert {tag: languages.of(tag).direction for tag in ("en", "de", "he")} == {"en": "ltr", "de": "ltr", "he": "rtl"}


@pytest.mark.parametrize(
    ("locale", "day", "time"),
    [
        ("en-GB", "Monday 9 March", "20:15"),
        ("en", "Monday 9 March", "20:15"),
        (None, "Monday 9 March", "20:15"),
        ("en-JP", "Monday 9 March", "20:15"),
        ("en-US", "Monday, March 9", "8:15\u00a0PM"),
        ("en-IN", "Monday, 9 March", "8:15\u00a0pm"),
        ("tlh-US", "Monday, March 9", "8:15\u00a0PM"),
        ("de", "Montag, 9. März", "20:15"),
        ("pt-BR", "9 de março (segunda-feira)", "20:15"),
        ("pt-PT", "9 de março (segunda-feira)", "20:15"),
        ("es-AR", "lunes 9 de marzo", "8:15\u00a0p.\u00a0m."),
        ("he", "יום שני, 9 במרץ", "20:15"),
    ],
)
def test_days_and_times_are_written_as_the_place_writes_them(languages, locale, day, time):
    moment = datetime(2026, 3, 9, 20, 15)
    language = languages.of(locale)
    assert (language.day(moment), language.time(moment)) == (day, time)


@pytest.mark.parametrize(
    ("locale", "first"), [("fr", "dimanche 1er mars"), ("pt", "1º de março (domingo)"), ("en-GB", "Sunday 1 March")]
)
def test_the_first_of_a_month_is_written_as_it_is_said(languages, locale, first):
    assert languages.of(locale).day(datetime(2026, 3, 1, 20, 15)) == first


def test_numbers_have_the_separators_of_the_place(languages):
    assert languages.of("de").number(12345.5) == "12.345,5"
    assert languages.of("en").number(12345.5) == "12,345.5"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEADER + 'msgid "a"\nmsgstr b"\n', 5),
        (HEADER + 'nonsense "a"\n', 4),
        ('msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=1; plural=import os;\\n"\n', 1),
    ],
)
def test_a_broken_catalogue_is_a_sentence_with_its_file_and_line(tmp_path, text, line):
    path = tmp_path / "de" / "notices.po"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError) as complaint:
        Languages(tmp_path).of("de")
    assert str(complaint.value).startswith(f"{path}, line {line}: ")


def test_a_catalogue_that_is_no_text_is_a_sentence(tmp_path):
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "notices.po").write_bytes(HEADER.encode() + b'msgid "a"\nmsgstr "\xff"\n')
    with pytest.raises(CatalogueError, match="not UTF-8"):
        Languages(tmp_path).of("de")


def test_markup_in_values_is_escaped_where_pages_are_made(languages):
    page = "{% trans name=name %}Hello {{ name }}{% endtrans %}"
    environment = languages.of("de").environment(DictLoader({"it": page}), autoescape=True)
    assert environment.get_template("it").render(name="<b>") == "Hello &lt;b&gt;"


@given(st.text(max_size=60))
def test_any_locale_has_a_language(languages, locale):
    language = languages.of(locale)
    assert language.tag in languages.tags
    assert language.time(datetime(2026, 3, 9, 20, 15))
    assert cleaned(cleaned(locale)) == cleaned(locale)
