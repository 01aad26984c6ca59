"""The catalogue of remedies: what is refused at the start, and which entry wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.reading import SettingsError
from config.remedies import DEFAULT_REMEDIES, read_remedies


@pytest.fixture
def changed(tmp_path):
    """Write the catalogue with one text in place of another."""

    def write(old: str, new: str) -> Path:
        text = DEFAULT_REMEDIES.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "remedies.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return write


MISTAKES = [
    ("when: {cause: isp}", "when: {cause: aliens}", "cause"),
    ("when: {cause: isp}", "when: {couse: isp}", 'Did you mean "cause"?'),
    ("device_type: web}", "device_type: toaster}", "it is one of smart_tv"),
    ("    needed: nothing\n", "", "must set needed"),
    ("article: home-network", "article: nowhere", "there is no article nowhere"),
    ("{title: Max plans and billing, publisher: Max help, ", "{", "source max-billing needs title, publisher and url"),
    ("  own-update: {own: ", "  own-update: {title: ", "source own-update needs"),
    ("sources: [sling-freezing]", "sources: [hearsay]", "there is no source hearsay"),
    (", sources: [sling-freezing]}", "}", "sources"),
    ("  unknown: on your device\n", "", "devices.unknown is not there"),
    ("\nversion: ", "\nversion: 1\nversion: ", "set twice"),
    ("needed: try", "needed: maybe", "needed"),
    (
        "  - when: {cause: service, signal: access}\n",
        "  - when: {cause: service, signal: access}\n    steps: [{say: Dance., sources: [tablo-signal]}]\n",
        "nobody does chores for our fault",
    ),
]


@pytest.mark.parametrize(("old", "new", "complaint"), MISTAKES, ids=[it[2] for it in MISTAKES])
def test_a_mistake_is_refused_with_the_line(changed, old, new, complaint):
    path = changed(old, new)
    with pytest.raises(SettingsError) as refused:
        read_remedies(path)
    assert complaint in str(refused.value)
    assert f"{path}, line " in str(refused.value)


def test_each_field_comes_from_the_most_specific_entry():
    remedies = read_remedies()
    tv = remedies.best(("problem", "household", "failure", None, "smart_tv"))
    plain = remedies.best(("problem", "household", "failure", None, None))
    assert tv.side == plain.side
    assert tv.article == plain.article == "restart"
    assert tv.steps != plain.steps


def test_of_two_as_specific_the_first_wins():
    network = read_remedies().best(("problem", "household", "failure", "network", "web"))
    assert network.article == "home-network"
    assert network.steps[0].say.startswith("Unplug your router")


def test_four_steps_are_refused(changed):
    step = "{say: Wait., sources: [tablo-signal]}"
    path = changed("    todo: \"One of these often helps:\"\n    steps:\n", "    todo: \"One of these often helps:\"\n"
                   f"    steps:\n      - {step}\n")  # fmt: skip
    with pytest.raises(SettingsError, match="at most 3"):
        read_remedies(path)
