"""What people may set: every section and key, its type, its limits and its default.

Values come from a YAML file (see `config.reading`); `config/prebuffer.yaml` is the default, line by line.
Everything is frozen, and an unknown key is an error.
"""

from __future__ import annotations

from config.settings.finding import DetectionSettings, IncidentSettings
from config.settings.running import AlertSettings, DigestSettings, ScheduleSettings
from config.settings.stores import LedgerSettings, PathSettings, WarehouseSettings
from config.settings.telling import (
    BrandSettings,
    ChannelSettings,
    ContactSettings,
    NoticeSettings,
    SendGridChannelSettings,
    WebhookChannelSettings,
)
from config.settings.values import Section, WebAddress
from config.settings.web import ConsoleSettings, WebSettings

__all__ = [
    "AlertSettings",
    "BrandSettings",
    "ChannelSettings",
    "ConsoleSettings",
    "ContactSettings",
    "DetectionSettings",
    "DigestSettings",
    "IncidentSettings",
    "LedgerSettings",
    "NoticeSettings",
    "PathSettings",
    "ScheduleSettings",
    "Section",
    "SendGridChannelSettings",
    "Settings",
    "WarehouseSettings",
    "WebAddress",
    "WebSettings",
    "WebhookChannelSettings",
]


class Settings(Section):
    """Everything that people may set."""

    paths: PathSettings = PathSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    ledger: LedgerSettings = LedgerSettings()
    detection: DetectionSettings = DetectionSettings()
    incidents: IncidentSettings = IncidentSettings()
    notices: NoticeSettings = NoticeSettings()
    channels: ChannelSettings = ChannelSettings()
    brand: BrandSettings = BrandSettings()
    web: WebSettings = WebSettings()
    console: ConsoleSettings = ConsoleSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    digest: DigestSettings = DigestSettings()
    alerts: AlertSettings = AlertSettings()
