"""Settings are read strictly, and every complaint says where."""

import re
from datetime import time, timedelta

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from config.reading import DEFAULT_FILE, SECRETS, SettingsError, read_settings
from config.settings import Settings
from notifiers.compose import Brand
from notifiers.model import ChannelName, Policy


@pytest.fixture
def read(tmp_path):
    def read(text, environment=None):
        file = tmp_path / "my.yaml"
        file.write_text(text, encoding="utf-8")
        return read_settings(file, environment)

    return read


@pytest.fixture
def complaints(read, tmp_path):
    def complaints(text, environment=None):
        with pytest.raises(SettingsError) as caught:
            read(text, environment)
        return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]

    return complaints


def test_the_file_inside_prebuffer_says_the_defaults():
    assert read_settings() == Settings()


def test_the_file_inside_prebuffer_has_every_key_with_a_comment():
    def keys(model, inside=()):
        for name, field in model.model_fields.items():
            key = (*inside, name)
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from keys(field.annotation, key)
            elif key not in SECRETS.values():
                yield key

    text = DEFAULT_FILE.read_text(encoding="utf-8")
    written = yaml.safe_load(text)
    for key in keys(Settings):
        section = written
        for name in key[:-1]:
            section = section[name]
        assert key[-1] in section, key
        assert re.search(rf"^ +{key[-1]}: .+ # \w", text, re.MULTILINE), key


def test_the_defaults_are_those_of_the_libraries():
    assert Settings().notices.policy == Policy()
    assert Settings().brand.brand == Brand()


def test_values_are_taken_from_the_file(read):
    settings = read("notices:\n  channels: [in_app]\n  quiet_from: '21:30'\n  own_gap: 2d\nschedules:\n  step: 5m\n")
    assert settings.notices.channels == (ChannelName.IN_APP,)
    assert settings.notices.policy.quiet_from == time(21, 30)
    assert settings.notices.own_gap == timedelta(days=2)
    assert settings.schedules.step == timedelta(minutes=5)


@pytest.mark.parametrize("text", ["", "# nothing\n", "notices:\n", "channels:\n  sendgrid:\n"])
def test_what_is_left_out_is_the_default(read, text):
    assert read(text) == Settings()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("foo: 1\n", "my.yaml, line 1: foo is not a setting."),
        ("notices:\n  quiet_form: 1\n", 'line 2: notices.quiet_form is not a setting. Did you mean "quiet_from"?'),
        ("channels:\n  sendgrid:\n    sendbox: true\n", 'line 3: channels.sendgrid.sendbox is not a setting. Did you'),
        ("notices:\n  holdout_share: 3\n", "line 2: notices.holdout_share cannot be 3: input should be less than"),
        ("notices:\n  max_per_day: many\n", "line 2: notices.max_per_day cannot be 'many': input should be"),
        ("notices:\n  channels: [email, pigeon]\n", "line 2: notices.channels.1 cannot be 'pigeon': input should be"),
        ("notices:\n  channels: []\n", "line 2: notices.channels cannot be []"),
        ("notices:\n  quiet_from: 22:00\n", 'a time of day is written in quotes, such as "22:00".'),
        ("notices:\n  stale_after: 12\n", "line 2: notices.stale_after cannot be 12: a duration is a"),
        ("notices:\n  stale_after: 0s\n", "it must be longer than nothing."),
        ("schedules:\n\n  step: 7m\n", "line 1: schedules: step must divide a day, e.g. 5m, 15m or 1h."),
        ("brand:\n  chat_url: http://example.com\n", "a web address starts with https://."),
        ("brand:\n  reply_address: nobody\n", "a mail address looks like name@example.com."),
        ("ledger:\n  url: nonsense\n", "line 1: ledger: url is not a database URL"),
        ("ledger:\n  url: postgresql://u:p@db/x\n", "set PREBUFFER_LEDGER_PASSWORD instead."),
        ("channels:\n  email: sendgrid\n", "line 1: channels: email is sendgrid, but PREBUFFER_SENDGRID_API_KEY"),
        ("channels:\n  sendgrid:\n    api_key: SG.x\n", "is a secret: set PREBUFFER_SENDGRID_API_KEY in the"),
        ("notices:\n  own_gap: 1h\n  own_gap: 2h\n", "line 3: notices.own_gap is set twice."),
        ("notices: [1]\n", "line 1: notices cannot be [1]"),
        ("- a\n", "my.yaml, line 1: the settings must be sections with keys."),
        ("notices:\n  own_gap: [1\n", "this is not YAML"),
        ("notices: {own_gap: !!python/object:os.system x}\n", "this is not YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_a_sentence_that_says_where(complaints, text, complaint):
    (found,) = complaints(text)
    assert complaint in found
    assert found.startswith("my.yaml, line ")
    assert found.endswith((".", "?"))


def test_all_complaints_come_at_once_in_the_order_of_lines(complaints):
    found = complaints("b: 1\nnotices:\n  max_per_day: x\n  holdout_share: 2\na: 1\n")
    assert [re.search(r"line (\d+)", problem)[1] for problem in found] == ["1", "3", "4", "5"]


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_settings(tmp_path / "bytes.yaml")


def test_secrets_come_from_the_environment_and_are_shown_as_stars(read):
    environment = {
        "PREBUFFER_SENDGRID_API_KEY": "SG.secret",
        "PREBUFFER_LEDGER_PASSWORD": "hush",
        "HOME": "/",
    }
    settings = read("channels:\n  sendgrid:\n    sender: a@example.com\n", environment)
    assert settings.channels.uses_sendgrid
    assert settings.channels.sendgrid.api_key.get_secret_value() == "SG.secret"
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "SG.secret" not in shown
        assert "hush" not in shown
        assert "****" in shown


def test_a_key_without_a_sender_is_refused_without_showing_the_key(complaints):
    (found,) = complaints("brand:\n", {"PREBUFFER_SENDGRID_API_KEY": "SG.secret"})
    assert "sendgrid.sender is not set" in found
    assert "SG.secret" not in found


def test_a_secret_does_not_hide_that_its_section_is_wrong(complaints):
    (found,) = complaints("channels: 7\n", {"PREBUFFER_SENDGRID_API_KEY": "SG.secret"})
    assert "channels cannot be 7" in found


@pytest.mark.parametrize(("email", "expected"), [("auto", False), ("mailbox", False)])
def test_without_a_key_mail_goes_into_the_mailbox(read, email, expected):
    assert read(f"channels:\n  email: {email}\n").channels.uses_sendgrid is expected


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().notices.max_per_day = 9
