"""The ledger's tables of what leads do: reviews, silences, publications, drills, reports, and what it came to."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Date, Float, ForeignKey, Index, Integer, String, Table, Text

from incidents.ledger.schema import UtcTime, metadata

cases = Table(
    "cases",
    metadata,
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("owner", String(128)),
    Column("verdict", String(16)),
    Column("cause", String(16)),
    Column("severity", String(16)),
    Column("merged_into", String(64), ForeignKey("incidents.incident_id")),
    Column("closed_time", UtcTime),
    Column("changed_time", UtcTime, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Index(None, "owner"),
    Index(None, "verdict"),
)
"""What leads decided about an incident, as it stands: it outweighs what detection writes. `revision` counts changes."""

reviews = Table(
    "reviews",
    metadata,
    Column("review_id", String(32), primary_key=True),
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("author", String(128), nullable=False),
    Column("reviewed_time", UtcTime, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("note", Text),
    Index(None, "incident_id", "reviewed_time"),
    Index(None, "reviewed_time"),
)
"""Every word of a lead on an incident; nothing is ever changed or taken out."""

silences = Table(
    "silences",
    metadata,
    Column("silence_id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("cohort", JSON, nullable=False),
    Column("signals", JSON, nullable=False),
    Column("from_time", UtcTime, nullable=False),
    Column("until_time", UtcTime, nullable=False),
    Column("author", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_time", UtcTime, nullable=False),
    Column("ended_time", UtcTime),
    Column("ended_by", String(128)),
    Index(None, "until_time"),
)
"""Planned events: of which cohorts and signals nobody is told from when until when, who says so and why."""

expected_incidents = Table(
    "expected_incidents",
    metadata,
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), primary_key=True),
    Column("silence_id", String(32), ForeignKey("silences.silence_id"), nullable=False),
    Column("marked_time", UtcTime, nullable=False),
    Index(None, "silence_id"),
)
"""Incidents that a silence covers."""

corrections = Table(
    "corrections",
    metadata,
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), primary_key=True),
    Column("wrong_cause", String(16), nullable=False),
    Column("right_cause", String(16)),
    Column("people", Integer, nullable=False),
    Column("proposed_by", String(128), nullable=False),
    Column("proposed_time", UtcTime, nullable=False),
    Column("sent_time", UtcTime),
    Index(None, "sent_time"),
)
"""Notices that said the wrong thing and are to be put right. No `right_cause`: there was no fault at all."""

publications = Table(
    "publications",
    metadata,
    Column("publication_id", String(32), primary_key=True),
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("began_time", UtcTime, nullable=False),
    Column("published_time", UtcTime, nullable=False),
    Column("resolved_time", UtcTime),
    Column("withdrawn_time", UtcTime),
    Column("revision", Integer, nullable=False),
    Index(None, "published_time"),
)
"""What the public status page says of an incident, in words that a lead chose."""

publication_updates = Table(
    "publication_updates",
    metadata,
    Column("publication_id", String(32), ForeignKey("publications.publication_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("author", String(128), nullable=False),
    Column("posted_time", UtcTime, nullable=False),
)

drills = Table(
    "drills",
    metadata,
    Column("drill_id", String(32), primary_key=True),
    Column("scenario", String(32), nullable=False),
    Column("folder", Text, nullable=False),
    Column("started_time", UtcTime, nullable=False),
    Column("started_by", String(128), nullable=False),
    Column("ended_time", UtcTime),
    Column("ended_by", String(128)),
    Column("score", JSON),
    Index(None, "started_time"),
)
"""Made-up incidents to practise on. A drill has a ledger of its own, which holds its row too: by it a page knows."""

report_files = Table(
    "report_files",
    metadata,
    Column("report_id", String(32), primary_key=True),
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), nullable=False),
    Column("format", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("made_time", UtcTime, nullable=False),
    Column("made_by", String(128), nullable=False),
    Column("settings_hash", String(64), nullable=False),
    Column("code_version", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Index(None, "incident_id", "made_time"),
)
"""Reports that were handed out: what each was made of, and the checksum by which a changed one is known."""

notice_traits = Table(
    "notice_traits",
    metadata,
    Column("notice_id", String(64), ForeignKey("notices.notice_id"), primary_key=True),
    Column("region", String(64)),
    Column("language", String(16)),
    Column("device_type", String(64)),
)
"""Where, in which language and on which device the person of a notice is: to see whether anybody is served worse."""

SUMS = (
    "people",
    "reached",
    "contacting",
    "soon",
    "before",
    "contacts",
    *(f"{what}_{sum_}" for what in ("handle", "resolved", "csat", "nps", "lead") for sum_ in ("n", "sum", "squares")),
)
"""What is summed: people by what they did, and for each measure of a contact its count, sum and sum of squares."""

service_days = Table(
    "service_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("trait", String(16), primary_key=True),
    Column("value", String(64), primary_key=True),
    Column("arm", String(16), primary_key=True),
    Column("bucket", Integer, primary_key=True),
    *(Column(name, Float, nullable=False) for name in SUMS),
)
"""Sums of one day over the people of one arm, by trait, and by a hash of the person into buckets, from which the
spread between people is known without looking at them again."""

rolled_days = Table(
    "rolled_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("rolled_time", UtcTime, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("notices", Integer, nullable=False),
    Column("incidents", Integer, nullable=False),
)
"""The days that `service_days` knows of, and which of them nothing more is expected of."""

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("session_key", String(64), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("began_time", UtcTime, nullable=False),
    Column("seen_time", UtcTime, nullable=False),
    Column("until_time", UtcTime, nullable=False),
    Index(None, "name"),
    Index(None, "until_time"),
)
"""Who is signed in to the console. `session_key` is a hash of what their browser holds, which is kept nowhere."""

digests = Table(
    "digests",
    metadata,
    Column("digest_id", String(32), primary_key=True),
    Column("week", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("began_time", UtcTime, nullable=False),
    Column("settled_time", UtcTime),
    Index(None, "week"),
)
"""The weekly digest of one lead, named by a hash of week and address: on its way, sent, failed, or nobody knows."""

lessons = Table(
    "lessons",
    metadata,
    Column("lesson_id", String(32), primary_key=True),
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("author", String(128), nullable=False),
    Column("written_time", UtcTime, nullable=False),
    Column("owner", String(128)),
    Column("done_time", UtcTime),
    Column("done_by", String(128)),
    Index(None, "incident_id", "written_time"),
    Index(None, "written_time"),
)
"""What was learned of an incident, and what is to be done about it; words are never changed or taken out."""
