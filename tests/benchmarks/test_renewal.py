"""The benchmark of renewal, on few people."""

from __future__ import annotations

import json

from benchmarks import renewal
from benchmarks.renewal import main


def test_every_card_follows_in_as_many_transactions_as_it_takes(monkeypatch, capsys):
    monkeypatch.setattr(renewal, "MOST_AT_ONCE", 7)
    assert main(["--people", "20"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (facts["cards"], facts["left_behind"], facts["windows"]) == (20, 0, 1)
