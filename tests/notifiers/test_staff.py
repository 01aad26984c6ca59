"""Staff alerts: what is worth one, in harmless words, and each place hears each once, over real HTTP."""

import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from incidents.ledger import schema
from incidents.model import Severity
from incidents.silences import SilenceKind, mark_expected, plan
from notifiers import rollout, staff, stops
from notifiers.alerts import LONGEST, Alert, AlertError, AlertKind, AlertRule, cleaned, standing
from notifiers.outbox import record_decisions
from notifiers.staff import MOST_AT_ONCE, WAITS, AlertReport, places, tell, words
from notifiers.stops import EVERYTHING, StopKind
from tests.faults import faults

OK, BROKEN = (200, {}), (500, {})
CONSOLE = "https://tv.example/console"
NEWS = Alert(AlertKind.STOP, "stop:1", "All sending is stopped", "A person stopped it.", "/stops")


@pytest.fixture
def server():
    with faults() as server:
        yield server


@pytest.fixture
def place(server):
    (place,) = places(f"json://staff:s3cret-token@127.0.0.1:{server.server_port}/hook?rto=0.2")
    return place


@pytest.fixture
def standing_now(engine, noon):
    def read(now=noon, **rule):
        with engine.connect() as connection:
            return standing(connection, AlertRule(**rule), now)

    return read


def keys(alerts):
    return [alert.key for alert in alerts]


def said(server):
    return [json.loads(body) for body in server.received]


def set_incident(engine, **values):
    with engine.begin() as connection:
        connection.execute(update(schema.incidents).values(values))


def test_an_incident_is_told_from_a_severity_while_it_goes_on_and_again_only_if_it_becomes_critical(
    engine, add_incident, standing_now, noon, server, place
):
    add_incident()
    assert standing_now() == []
    assert keys(standing_now(from_severity=Severity.MINOR)) == ["incident:i-1"]
    set_incident(engine, severity="critical", affected_subscribers=1234, cohort={"isp": "Northwind"})
    (critical,) = standing_now()
    assert critical.title == "Critical incident: internet provider Northwind"
    assert critical.text == (
        "1,234 people had stalls, the first at 09 March 12:00 UTC. Likely cause: service, probability 100%."
    )
    server.script = [OK]
    assert tell(engine, [critical], [place], None, noon) == AlertReport(told=1)
    set_incident(engine, severity="major")
    assert keys(standing_now()) == ["incident:i-1"]
    assert tell(engine, standing_now(), [place], None, noon) == AlertReport()
    set_incident(engine, resolved_time=noon)
    assert standing_now() == []


def test_an_old_incident_and_a_planned_one_are_no_news(engine, add_incident, standing_now, noon):
    add_incident()
    set_incident(engine, severity="major")
    assert keys(standing_now()) == ["incident:i-1"]
    assert standing_now(now=noon + timedelta(days=1)) == []
    with engine.begin() as connection:
        until = noon + timedelta(hours=2)
        plan(connection, SilenceKind.MAINTENANCE, {}, noon - timedelta(hours=1), until, "ann", "New routers.", noon)
        mark_expected(connection, noon)
    assert standing_now() == []


def test_stops_that_a_person_must_end_are_told_and_rate_limits_are_not(engine, standing_now, noon):
    with engine.begin() as connection:
        stops.start(connection, EVERYTHING, StopKind.PERSON, "Ring ann@example.net on 07700 900 123", noon, by="ann")
        stops.start(connection, "channel:email", StopKind.REFUSED, "SendGrid answered 401.", noon)
        stops.start(connection, "channel:in_app", StopKind.RATE, "Busy.", noon)
    told = sorted(standing_now(), key=lambda it: it.title)
    assert [it.title for it in told] == ["All sending is stopped", "Sending of channel:email is stopped"]
    assert "Ring [address] on [number] Messages wait" in told[0].text
    assert "The provider refuses us: SendGrid answered 401." in told[1].text
    assert "ann" not in told[0].title + told[0].text


def test_a_refusal_that_comes_back_all_day_is_told_once_a_day(engine, standing_now, noon):
    found = []
    for hour in (0, 1, 24):
        now = noon + timedelta(hours=hour)
        with engine.begin() as connection:
            until = now + timedelta(minutes=5)
            stops.start(connection, "channel:email", StopKind.REFUSED, "SendGrid answered 403.", now, until=until)
        found += keys(standing_now(now=now))
    assert found == ["stop:channel:email:2026-03-09"] * 2 + ["stop:channel:email:2026-03-10"]


def test_each_stage_that_waits_for_approval_is_told(engine, standing_now, noon):
    with engine.begin() as connection:
        rollout.ask(connection, "i-1", 5000, 0.01, noon)
    (first,) = standing_now()
    assert first.title == "An approval is waiting: 5,000 people"
    assert first.path == "/approvals/i-1"
    with engine.begin() as connection:
        rollout.approve(connection, "i-1", "lea", noon, stages=(0.01, 0.1))
    assert standing_now() == []
    with engine.begin() as connection:
        rollout.go_on(connection, noon)
    assert keys(standing_now()) == ["approval:i-1:0.1"]


def test_windows_are_late_only_once_the_last_is_too_old(engine, standing_now, noon):
    assert standing_now() == []
    with engine.begin() as connection:
        row = {"stage": "notify", "window_start": noon - timedelta(minutes=15), "window_end": noon}
        connection.execute(insert(schema.windows).values(**row, finished_time=noon))
    assert standing_now(now=noon + timedelta(minutes=46)) == []
    (late,) = standing_now(now=noon + timedelta(minutes=47))
    assert (late.kind, late.key) == (AlertKind.LATE, "late:20260309T1200Z")
    assert standing_now(now=noon + timedelta(minutes=47), about=(AlertKind.STOP,)) == []


def test_missing_telemetry_is_told_while_it_is_missing(engine, standing_now, noon):
    row = {
        "notice_id": "dq-1",
        "kind": "missing_telemetry",
        "cohort": {"country": "SE"},
        "measure": "presence",
        "since": noon,
        "detected_time": noon,
        "until": None,
        "expected": 900.0,
        "observed": 3.0,
        "late": 0.0,
        "surprise": 99.0,
        "reasons": [],
        "updated_time": noon,
    }
    with engine.begin() as connection:
        connection.execute(insert(schema.quality_notices).values(row))
    (missing,) = standing_now()
    assert missing.title == "Missing telemetry: country SE"
    assert missing.text == "3 of about 900 came since 09 March 12:00 UTC."


def test_messages_that_nobody_can_settle_are_told_once_a_day(engine, standing_now, noon, decide_one, trouble):
    decision = decide_one(trouble(incident_id=None))
    with engine.begin() as connection:
        record_decisions(connection, [decision])
        row = {"message_id": "m-1", "notice_id": decision.notice_id, "stage": "first", "channel": "email"}
        words_of_it = {"subject": "", "html": "", "text": "", "card": {}, "state": "unknown"}
        connection.execute(insert(schema.outbox).values(**row, **words_of_it, queued_time=noon, next_attempt_time=noon))
    assert standing_now(now=noon + timedelta(hours=1)) == []
    for hours, day in ((2, 9), (3, 9), (13, 10)):
        (unsettled,) = standing_now(now=noon + timedelta(hours=hours))
        assert (unsettled.key, unsettled.title) == (f"unsettled:2026-03-{day:02}", "1 message is unknown")


def test_each_place_hears_each_alert_once_and_another_place_for_itself(engine, noon, server, place):
    server.script = [OK, OK, OK]
    (other,) = places(f"json://127.0.0.1:{server.server_port}/other")
    assert tell(engine, [NEWS], [place], CONSOLE, noon) == AlertReport(told=1)
    assert tell(engine, [NEWS], [place], CONSOLE, noon + timedelta(days=9)) == AlertReport()
    assert tell(engine, [NEWS], [place, other], CONSOLE, noon) == AlertReport(told=1)
    assert tell(engine, [NEWS, replace(NEWS, key="stop:2")], [place], CONSOLE, noon) == AlertReport(told=1)
    first = said(server)[0]
    assert (first["title"], first["type"]) == ("Prebuffer: All sending is stopped", "warning")
    assert first["message"] == "A person stopped it.\nhttps://tv.example/console/stops"
    assert len(said(server)) == 3


@pytest.mark.parametrize(
    "trouble",
    [BROKEN, (404, {}), "reset before the body is read", "no answer after the body is read", "no HTTP"],
    ids=str,
)
def test_a_place_that_fails_or_is_slow_is_tried_again_later_and_stops_nothing(
    engine, noon, server, place, trouble, caplog
):
    server.script = [trouble, OK]
    with caplog.at_level(logging.DEBUG):
        assert tell(engine, [NEWS], [place], CONSOLE, noon) == AlertReport(failed=1)
    assert tell(engine, [NEWS], [place], CONSOLE, noon + WAITS.first / 2) == AlertReport()
    assert tell(engine, [NEWS], [place], CONSOLE, noon + WAITS.first) == AlertReport(told=1)
    assert "did not reach json://****" in caplog.text
    assert "s3cret" not in caplog.text
    assert "127.0.0.1" not in "".join(record.message for record in caplog.records if record.name.startswith("pre"))


def test_a_place_that_never_ends_its_answer_holds_up_neither_the_others_nor_us(
    engine, noon, server, place, monkeypatch
):
    monkeypatch.setattr(staff, "PATIENCE_S", 0.3)
    (stuck,) = places(f"json://127.0.0.1:{server.server_port}/stuck?rto=9")
    server.script = ["no answer after the body is read"]
    with faults() as well:
        well.script = [OK]
        (good,) = places(f"json://127.0.0.1:{well.server_port}")
        assert tell(engine, [NEWS], [stuck, good], None, noon) == AlertReport(told=1, failed=1)


def test_whoever_claims_an_alert_first_tells_it(engine, noon, place):
    assert staff.news_for(engine, [NEWS], place, noon) == [NEWS]
    assert staff.news_for(engine, [NEWS], place, noon) == []
    assert staff.news_for(engine, [NEWS], place, noon + WAITS.first) == [NEWS]
    assert staff.news_for(engine, [NEWS], place, noon + 2 * WAITS.first) == []
    assert staff.news_for(engine, [NEWS], place, noon + 3 * WAITS.first) == [NEWS]


def test_many_at_once_come_in_few_messages(engine, noon, server, place):
    server.script = [OK, OK]
    many = [replace(NEWS, key=f"stop:{number}") for number in range(MOST_AT_ONCE + 2)]
    assert tell(engine, many, [place], CONSOLE, noon) == AlertReport(told=MOST_AT_ONCE)
    assert tell(engine, many, [place], CONSOLE, noon) == AlertReport(told=2)
    assert [it["title"] for it in said(server)] == [f"Prebuffer: {n} things to look at" for n in (MOST_AT_ONCE, 2)]
    with engine.connect() as connection:
        assert staff.untold(connection) == 0
        assert None not in set(connection.scalars(select(schema.staff_alerts.c.told_time)))


def test_addresses_are_parted_by_commas_and_blanks_and_shown_as_stars():
    listed = places(
        " json://a.example/x?to=1,2,\n slack://AAAAAAAAA/BBBBBBBBB/abcdefghijklmnopqrstuvwx/#ops , json://b.example,"
    )
    assert [place.shown for place in listed] == ["json://****", "slack://****", "json://****"]
    assert len({place.key for place in listed}) == 3
    assert "example" not in repr(listed)


@pytest.mark.parametrize("urls", ["s3cret", "nonsense://s3cret", "json://ok.example slack://s3cret"])
def test_an_address_that_is_none_is_a_sentence_without_it(urls):
    with pytest.raises(AlertError, match="that Apprise can use") as complaint:
        places(urls)
    assert "s3cret" not in str(complaint.value)


HOSTILE = (
    "<!channel> @everyone [x](http://evil.example) *b* `c` <http://evil.example|click> \u202etxt\x1b[31m "
    "ann@example.net"
)


def test_text_from_outside_cannot_pose_as_anything():
    plain = cleaned(HOSTILE)
    assert not set(plain) & set("<>@*`|#\u202e\x1b\n")
    assert "evil.example" not in plain
    assert "://" not in plain
    assert cleaned("cdn_b-1 (Örebro) 4.2.1 中文") == "cdn_b-1 (Örebro) 4.2.1 中文"


@given(st.text(max_size=400))
def test_cleaned_text_is_one_short_line_and_clean_already(text):
    plain = cleaned(text)
    assert len(plain) <= LONGEST
    assert not set(plain) & set("<>@*`|#\n\r\u2028\u202e")
    assert cleaned(plain) == plain


def test_one_alert_has_its_own_title_and_several_share_one():
    assert words([NEWS], None) == ("Prebuffer: All sending is stopped", "A person stopped it.")
    title, text = words([NEWS, NEWS], CONSOLE)
    assert title == "Prebuffer: 2 things to look at"
    assert text.count("All sending is stopped. A person stopped it.\nhttps://tv.example/console/stops") == 2
