"""A dozen kills in a test; the benchmark does a thousand."""

from __future__ import annotations

import json

import pytest

from benchmarks.crashes import main

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_nobody_is_told_twice_or_forgotten(database, request, capsys):
    if database == "postgresql":
        request.getfixturevalue("postgres")
    assert main(["--kills", "12", "--senders", "2", "--databases", database]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (facts["kills"], facts["lost"], facts["twice"], facts["unsettled"], facts["forgotten"]) == (12, 0, 0, 0, 0)
    assert facts["messages"] >= 400
