-- How many events are fresh, and the first slot that they touch: older history is not looked at.
SELECT coalesce(sum(events), 0), min(slot) FROM fresh;
