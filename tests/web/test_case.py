"""A case travels with its link and through the interface for programs, and says nothing of who it is."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import insert, update

from config.settings import Settings
from console.web import make_app
from console.web.diagnosis import CasePacket
from console.web.tokens import make_token
from incidents.ledger import schema
from notifiers.links import Purpose
from notifiers.model import reference
from tests.web.conftest import NOON, PUBLIC, SECRET, incident

PERSONAL = ("Ada", "ada@", "example.net")
WEB = {"public_url": PUBLIC, "link_secret": SECRET, "token_secret": SECRET}
BRAND = {
    "service_name": "Lumen",
    "reply_address": "help@lumen.example",
    "chat_url": "https://lumen.example/chat",
    "phone": "+44 20 7946 0000",
    "contact": {"DE": {"phone": "0800 000 000", "chat_url": "https://lumen.example/de/chat"}},
}


@pytest.fixture
def service(settings, clock) -> dict[str, str]:
    token = make_token(settings().web, "chatbot", clock(), timedelta(hours=1), service=True)
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def ask(client, service):
    def ask(what: str, subscriber_id: str = "u-1", **query: str):
        return client.get(f"/subscribers/{quote(subscriber_id, safe='')}/{what}", headers=service, params=query)

    return ask


@pytest.fixture
def branded(serve, ledger, clock):
    return serve(make_app(Settings.model_validate({"brand": BRAND, "web": WEB}), ledger, clock))


@pytest.fixture
def path(links, tell):
    return lambda *arguments, **changed: f"/case/{links.token(Purpose.CASE, tell(*arguments, **changed), 'u-1')}"


def test_a_case_says_what_we_know_and_nobody_is_named(client, path, know) -> None:
    know()
    shown = client.get(path()).text
    assert "Your video kept pausing: a network fault" in shown
    assert "On Tuesday 10 March, from 11:00 your time" in shown
    assert "3 of the 4 times you watched" in shown
    assert "It is not over yet" in shown
    assert "by e-mail" in shown
    assert not [it for it in (*PERSONAL, "u-1", "84 %") if it in shown]


def test_the_ways_to_a_person_are_those_of_their_country(branded, path, know) -> None:
    know(country="DE")
    shown = branded.get(path()).text
    assert "https://lumen.example/de/chat?case=" in shown
    assert "0800 000 000" in shown
    assert re.search(r"mailto:help@lumen\.example\?subject=[A-Z2-7]{4}-", shown)


def test_who_cannot_telephone_is_given_no_number(branded, path, know) -> None:
    know(country="DE", no_phone=True)
    shown = branded.get(path()).text
    assert "0800" not in shown
    assert "7946" not in shown
    assert "/de/chat" in shown


def test_a_free_number_is_not_given_abroad(branded, path, know) -> None:
    know(country="FR")
    shown = branded.get(path()).text
    assert "0800" not in shown
    assert "+44 20 7946 0000" in shown


def test_a_household_gets_its_steps_and_no_network_gets_chores(client, path, know) -> None:
    know()
    assert client.get(path()).text.count("<li>") == 1  # what we told them
    own = path(cause="household", incident_id=None, episode="own:buffering:20260310T100000")
    assert "Unplug your router" in client.get(own).text


def test_an_incident_that_is_over_is_over_in_its_cases(client, path, ledger) -> None:
    link = path()
    with ledger.write() as connection:
        connection.execute(insert(schema.incidents).values(incident("whole", resolved_time=NOON)))
        connection.execute(
            update(schema.incidents).where(schema.incidents.c.incident_id == "inc-1").values(merged_into="whole")
        )
    shown = client.get(link).text
    assert "It is over, as far as we can see." in shown
    assert "we will write again" not in shown


def test_a_cause_that_a_lead_put_right_is_right_everywhere(ask, path, client, ledger) -> None:
    link = path()
    with ledger.write() as connection:
        connection.execute(update(schema.incidents).values(cause="app", cause_probability=1.0))
    assert "The cause is in our app" in client.get(link).text
    fault = ask("diagnosis").json()["problems"][0]["fault"]
    assert (fault["cause"], fault["probability"]) == ("app", 1.0)


def test_a_link_for_another_is_of_no_use(client, links, tell, clock) -> None:
    key = tell()
    bad = [links.token(Purpose.CASE, key, "u-2"), links.token(Purpose.GENUINE, key, "u-1"), "x"]
    for token in bad:
        assert client.get(f"/case/{token}").status_code == 404
    good = f"/case/{links.token(Purpose.CASE, key, 'u-1')}"
    assert client.post(good).status_code == 405
    clock.forward(days=40)
    assert client.get(good).status_code == 404


def test_hostile_telemetry_is_only_text(client, path, ask) -> None:
    evil = "<script>alert(1)</script>"
    shown = client.get(path(trouble={"device_type": evil, "error_class": '"><img src=x>'})).text
    assert "<script" not in shown
    assert "<img" not in shown
    assert ask("diagnosis").json()["problems"][0]["device_type"] == evil


def test_a_diagnosis_says_what_since_when_whose_side_and_what_was_said(ask, tell, know) -> None:
    know()
    key = tell()
    answer = ask("diagnosis")
    found = answer.json()
    problem = found["problems"][0]
    assert problem["reference"] == problem["said"][0]["reference"] == reference(key)
    assert (problem["status"], problem["problem"], problem["since"]) == ("ongoing", "buffering", "2026-03-10T10:00:00Z")
    assert (problem["fault"]["cause"], problem["fault"]["probability"]) == ("isp", 0.93)
    assert problem["fault"]["evidence"] == ["84 % of sessions on isp-a stall, elsewhere 2 %."]
    assert problem["advice"]["steps"] == []
    assert problem["incident"]["status"] == "open"
    assert (problem["said"][0]["state"], problem["said"][0]["channel"]) == ("sent", "email")
    assert found["sentence"].startswith("Your video kept pausing: a network fault. On Tuesday 10 March")
    assert not [it for it in PERSONAL if it in answer.text]


def test_who_was_not_told_is_diagnosed_with_the_reason(ask, tell) -> None:
    tell(sent=False)
    said = ask("diagnosis").json()["problems"][0]["said"][0]
    assert (said["withheld_reason"], said["sent_time"]) == ("holdout", None)


def test_what_goes_on_comes_before_what_is_over(ask, tell, know) -> None:
    know()
    own = {"cause": "household", "incident_id": None}
    well = {"last_good_time": NOON, "last_bad_time": NOON - timedelta(minutes=5)}
    quiet = {"last_bad_time": NOON - timedelta(days=3)}
    tell(episode="own:over", **own, trouble=well)
    tell(episode="own:quiet", **own, trouble=quiet)
    tell(episode="own:goes on", **own)
    assert [it["status"] for it in ask("diagnosis").json()["problems"]] == ["ongoing", "over", "unknown"]


def test_answers_come_with_the_case(ask, client, links, tell) -> None:
    key = tell()
    client.post(f"/feedback/{links.token(Purpose.FEEDBACK, key, 'u-1')}", data={"verdict": "no", "note": "Still bad"})
    assert ask("case").json()["problem"]["said"][0]["answers"] == {"helped": 0, "no_problem": 0, "note": "Still bad"}


def test_a_packet_is_of_one_case_and_keeps_its_key(ask, tell, know) -> None:
    know(country="GB", no_phone=True)
    first, other = tell(), tell(episode="own:x", incident_id=None, cause="household")
    for key in (first, other):
        packet = ask("case", reference=reference(key)).json()
        assert (packet["schema"], packet["case_id"]) == ("prebuffer.case/1", key)
        assert reference(key) in packet["subject"]
        assert packet["reach"]["no_phone"] is True
        assert packet["case_url"].startswith("https://notices.lumen.example/case/")
    assert ask("case", reference="ABCD-EFGH-2345").status_code == 404


def test_a_person_of_whom_nothing_is_known_is_a_sentence(ask) -> None:
    answer = ask("diagnosis", "nobody")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Nothing was ever found or decided about such a subscriber."


def test_a_person_whose_trouble_is_long_over_has_none(client, settings, tell, clock) -> None:
    tell()
    clock.forward(days=40)
    token = make_token(settings().web, "chatbot", clock(), timedelta(hours=1), service=True)
    headers = {"Authorization": f"Bearer {token}"}
    found = client.get("/subscribers/u-1/diagnosis", headers=headers).json()
    assert (found["problems"], found["sentence"].partition(" has")[0]) == ([], "Nothing")
    assert client.get("/subscribers/u-1/case", headers=headers).status_code == 404


@pytest.mark.parametrize("who", ["a/b", "../u-1", "%2e%2e", "u-1?x", "' OR 1=1 --", "名前", "x" * 500])
def test_hostile_names_of_people_find_nobody(ask, tell, who) -> None:
    tell()
    assert ask("diagnosis", who).status_code == 404
    assert ask("case", who).status_code == 404


def test_a_person_with_a_slash_in_their_key_is_found(ask, tell) -> None:
    tell("a/b")
    assert ask("diagnosis", "a/b").json()["subscriber_id"] == "a/b"


def test_a_token_of_the_inbox_or_of_nobody_asks_nothing(client, tell, bearer) -> None:
    tell()
    for headers in ({}, bearer(), {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        for what in ("diagnosis", "case"):
            assert client.get(f"/subscribers/u-1/{what}", headers=headers).status_code == 401


def test_a_token_of_a_program_opens_no_inbox(client, service) -> None:
    assert client.get("/inbox/v1/cards", headers=service).status_code == 401


def test_a_program_has_its_own_pace(serve, app_of, service, tell) -> None:
    tell()
    slow = serve(app_of(service_requests_per_minute=2))
    assert [slow.get("/subscribers/u-1/diagnosis", headers=service).status_code for _ in range(3)] == [200, 200, 429]


def test_the_packet_in_the_guide_is_one_and_its_schema_is_served(client, root, ask, tell) -> None:
    guide = (root / "docs" / "api.md").read_text(encoding="utf-8")
    example = json.loads(re.search(r"```json\n(\{.*?\n\})\n```", guide, re.DOTALL)[1])
    assert CasePacket.model_validate(example).schema_name == "prebuffer.case/1"
    tell()
    assert example.keys() == ask("case").json().keys()
    assert set(client.get("/schemas/case-1.json").json()["properties"]) == example.keys()
