"""Who contacts support: for reasons of their own, and about what went wrong for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.arrays import Ints, chances, epoch_ms
from data.setting import Setting
from telemetry.contract import CONTACT_CHANNELS, CONTACT_REASONS, CONTACTS, Signal

CONTACTS_PER_SUBSCRIBER_DAY = 0.0025
CHANNEL_SHARES = chances([0.5, 0.3, 0.15, 0.05])
EVERYDAY_REASON_SHARES = chances([0.04, 0.02, 0.06, 0.12, 0.25, 0.2, 0.31])
REASON_OF = {
    Signal.BUFFERING.value: "buffering",
    Signal.STARTUP.value: "startup",
    Signal.FAILURE.value: "playback_failure",
    Signal.ACCESS.value: "access",
}


def contacts_of(setting: Setting, episodes: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the contract's ``contacts`` table: everyday contacts, and the complaints of episodes."""
    contacts = pd.concat([_everyday(setting, rng), _complaints(episodes)]).sort_values("contacted_at")
    count = len(contacts)
    numbered = contacts.assign(
        contact_id=[f"contact-{number:06d}" for number in range(count)],
        channel=rng.choice(CONTACT_CHANNELS, count, p=CHANNEL_SHARES),
        handle_seconds=rng.lognormal(np.log(480), 0.6, count).astype(np.int32),
        resolved_first_contact=rng.random(count) < 0.74,
        csat=_asked(rng.choice(np.arange(1, 6), count, p=[0.1, 0.08, 0.15, 0.3, 0.37]), 0.4, rng),
        nps=_asked(rng.integers(0, 11, count), 0.15, rng),
    )
    return numbered[list(CONTACTS.names)].reset_index(drop=True)


def _everyday(setting: Setting, rng: np.random.Generator) -> pd.DataFrame:
    recipe, people = setting.recipe, setting.people
    count = int(rng.poisson(CONTACTS_PER_SUBSCRIBER_DAY * len(people) * recipe.days))
    length_ms = recipe.days * timedelta(days=1) // timedelta(milliseconds=1)
    moments = epoch_ms(recipe.start) + rng.integers(0, length_ms, count)
    return pd.DataFrame(
        {
            "subscriber_id": rng.choice(np.array(people.ids, dtype=object), count),
            "contacted_at": pd.Series(pd.to_datetime(moments, unit="ms")).astype("datetime64[us]"),
            "reason": rng.choice(CONTACT_REASONS, count, p=EVERYDAY_REASON_SHARES),
        }
    )


def _complaints(episodes: pd.DataFrame) -> pd.DataFrame:
    loud = episodes[episodes.first_complaint_time.notna()]
    return pd.DataFrame(
        {
            "subscriber_id": loud.subscriber_id,
            "contacted_at": loud.first_complaint_time,
            "reason": loud.signal.map(REASON_OF),
        }
    )


def _asked(answers: Ints, share: float, rng: np.random.Generator) -> NDArray[Any]:
    """Return what a share of people answered; most are not asked or do not answer."""
    given = pd.Series(answers, dtype="Int32")
    return given.where(rng.random(len(answers)) < share).to_numpy()
