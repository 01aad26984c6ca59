"""One channel, one file: a channel translates and posts; retries and records belong to `deliver`.

Build them by name and hand them to `deliver` by the way they reach people::

    channels = {
        ChannelName.EMAIL: Mailbox(folder),  # or SendGrid(settings, client)
        ChannelName.IN_APP: InApp(engine),
    }
"""

from notifiers.channels.contract import Channel, Receipt
from notifiers.channels.in_app import InApp
from notifiers.channels.mailbox import Mailbox
from notifiers.channels.sendgrid import SendGrid, SendGridSettings
from notifiers.channels.webhook import Webhook, WebhookSettings

REGISTRY: dict[str, type[Channel]] = {
    "in_app": InApp,
    "mailbox": Mailbox,
    "sendgrid": SendGrid,
    "webhook": Webhook,
}

__all__ = [
    "REGISTRY",
    "Channel",
    "InApp",
    "Mailbox",
    "Receipt",
    "SendGrid",
    "SendGridSettings",
    "Webhook",
    "WebhookSettings",
]
