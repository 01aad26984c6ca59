"""What counts as trouble, and as an incident."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.settings.values import AtLeastOne, Count, Factor, Nats, Section, Share
from detectors.observations import ImpairmentRule
from incidents.lifecycle import LifecycleRule
from incidents.own import OwnRule
from incidents.watch import WatchRule


class DetectionSettings(Section):
    """What counts as trouble, and when it is surprising enough to speak of.

    Parameters
    ----------
    learn_days
        See `incidents.watch.WatchRule`; so are margin_nats and all that begin with least_, but least_probability.
    min_stalled_ms
        See `detectors.observations.ImpairmentRule`; so are min_session_ms, min_ratio, own_factor, slow_factor, slow_ms.
    least_probability
        See `incidents.own.OwnRule`; so are own_days (its days) and suspect_nats.
    """

    learn_days: AtLeastOne = WatchRule.learn_days
    margin_nats: Nats = WatchRule.margin_nats
    least_subscribers: AtLeastOne = WatchRule.least_subscribers
    least_ratio: Factor = WatchRule.least_ratio
    least_slowdown: Factor = WatchRule.least_slowdown
    least_blame: Share = WatchRule.least_blame
    min_stalled_ms: Count = ImpairmentRule.min_stalled_ms
    min_session_ms: Count = ImpairmentRule.min_session_ms
    min_ratio: Share = ImpairmentRule.min_ratio
    own_factor: Factor = ImpairmentRule.own_factor
    slow_factor: Factor = ImpairmentRule.slow_factor
    slow_ms: Count = ImpairmentRule.slow_ms
    own_days: AtLeastOne = OwnRule.days
    least_probability: Annotated[float, Field(ge=0.5, lt=1)] = OwnRule.least_probability
    suspect_nats: Nats = OwnRule.suspect_nats

    @property
    def watch(self) -> WatchRule:
        """How long to look back, and when to speak of a cohort."""
        names = ("learn_days", "margin_nats", "least_subscribers", "least_ratio", "least_slowdown", "least_blame")
        return WatchRule(**{name: getattr(self, name) for name in names})

    @property
    def impairment(self) -> ImpairmentRule:
        """When playback is materially bad."""
        return ImpairmentRule(
            min_stalled_ms=self.min_stalled_ms,
            min_session_ms=self.min_session_ms,
            min_ratio=self.min_ratio,
            own_factor=self.own_factor,
            slow_factor=self.slow_factor,
            slow_ms=self.slow_ms,
        )

    @property
    def own(self) -> OwnRule:
        """When somebody's own trouble is sure enough."""
        return OwnRule(days=self.own_days, least_probability=self.least_probability, suspect_nats=self.suspect_nats)


class IncidentSettings(Section):
    """When an incident is severe, and when it is over; see `incidents.lifecycle.LifecycleRule`."""

    major_subscribers: Count = LifecycleRule.major_subscribers
    critical_subscribers: Count = LifecycleRule.critical_subscribers
    major_share: Share = LifecycleRule.major_share
    critical_share: Share = LifecycleRule.critical_share
    recovered_nats: Nats = LifecycleRule.recovered_nats
    persistence: Share = LifecycleRule.persistence
    switch_nats: Nats = LifecycleRule.switch_nats
    settle_hours: Factor = LifecycleRule.settle_hours
    settle_ratio: Factor = LifecycleRule.settle_ratio

    @property
    def lifecycle(self) -> LifecycleRule:
        """What `incidents.step` takes."""
        return LifecycleRule(**{name: getattr(self, name) for name in type(self).model_fields})
