"""How early a fault could be found, on a world whose truth is known."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.delay_floor import VICTIMS, floors, main
from benchmarks.scoring.reading import read_truth
from data.world import World


def test_each_fault_is_bounded_by_its_victims(everyday: World) -> None:
    truth = read_truth(everyday.path)
    found = floors(truth, timedelta(minutes=15))
    assert set(found["fault"]) <= {fault.truth_id for fault in truth.incidents if not fault.is_benign}
    assert len(found) > 0
    for row in found.itertuples(index=False):
        minutes = np.array(row[2:], float)
        known = minutes[~np.isnan(minutes)]
        assert (known > 0).all()
        assert (np.diff(known) >= 0).all()  # a later victim is struck no earlier
    longer = floors(truth, timedelta(minutes=60))[list(VICTIMS)].to_numpy()
    assert (np.nan_to_num(longer - found[list(VICTIMS)].to_numpy()) >= 0).all()  # a longer step sees it later


def test_it_prints_a_table_and_a_line_of_json(everyday: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(everyday.path)]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["faults"] > 0
    assert facts["victim_4_min_median"] <= facts["victim_6_min_median"] <= facts["victim_6_min_p90"]
