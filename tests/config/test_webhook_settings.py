"""Cards by webhook are carried only where there is somewhere to carry them, and something to sign with."""

import pytest

from config.bootstrap import open_channels, open_ledger
from config.reading import SettingsError, read_settings
from notifiers.channels import InApp, Webhook
from notifiers.model import ChannelName

SECRET = {"PREBUFFER_WEBHOOK_SECRET": "whsec_" + "d" * 32}
URL = "channels:\n  in_app: webhook\n  webhook:\n    url: https://company.example/cards\n"


@pytest.fixture
def read(tmp_path):
    def read(text, environment):
        file = tmp_path / "my.yaml"
        file.write_text(f"ledger:\n  url: sqlite:///{tmp_path}/ledger.db\n{text}", encoding="utf-8")
        return read_settings(file, environment)

    return read


@pytest.mark.parametrize(("text", "carrier"), [(URL, Webhook), ("", InApp)])
def test_the_setting_says_what_carries_cards(text, carrier, read):
    settings = read(text, SECRET)
    with open_ledger(settings) as ledger, open_channels(settings, ledger) as channels:
        assert type(channels[ChannelName.IN_APP]) is carrier
    assert "dddd" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "environment", "complaint"),
    [
        (URL, {}, "PREBUFFER_WEBHOOK_SECRET is not set"),
        ("channels:\n  in_app: webhook\n", SECRET, "webhook.url"),
        (URL, {"PREBUFFER_WEBHOOK_SECRET": "short"}, "24 random bytes"),
        (URL, {"PREBUFFER_WEBHOOK_SECRET": "d" * 32 + " ???"}, "24 random bytes"),
    ],
)
def test_what_cannot_work_is_said_when_settings_are_read(text, environment, complaint, read):
    with pytest.raises(SettingsError, match=complaint) as caught:
        read(text, environment)
    assert "???" not in str(caught.value)
