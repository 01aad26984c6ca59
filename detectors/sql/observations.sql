-- Slices from $from (inclusive) to $to (exclusive) with what was wrong in each, judged against the viewer's own
-- normal; of all of them ($changed is NULL), or of those that the merge of the window ending at $changed changed.
--
-- A slice stalls badly when it stalled at least $min_stalled_ms and more than $min_ratio of its time, and more
-- than $own_factor times this person's usual ratio. A start is slow when it took more than $slow_factor times what
-- is usual for this person on this device type, and at least $slow_ms longer. Whose matter a refusal is, is said by its
-- class and code (see detectors/refusals.py).
SELECT
    s.session_id, s.subscriber_id, s.slot,
    s.country, s.region, s.isp, s.cdn, s.device_type, s.app_version, s.connection_type, s.content_type, s.title_id,
    s.first_time, s.last_time, s.error_class, s.playing_ms, s.stalled_ms,
    coalesce(n.rebuffering_ratio, 0) AS own_ratio,
    coalesce(n.stalling_factor, 1) AS stalling_factor,
    s.playing_ms + s.stalled_ms > 0 AS played,
    s.startup_ms IS NOT NULL AS started,
    TRUE AS present,
    s.requested > 0 OR s.denied > 0 OR (s.failed > 0 AND s.playing_ms = 0) AS attempt,
    s.stalled_ms >= $min_stalled_ms
    AND s.stalled_ms > $min_ratio * (s.playing_ms + s.stalled_ms)
    AND s.stalled_ms > $own_factor * coalesce(n.rebuffering_ratio, 0) * (s.playing_ms + s.stalled_ms) AS buffering,
    coalesce(
        s.startup_ms > $slow_factor * d.startup_ms * coalesce(n.startup_factor, 1)
        AND s.startup_ms > $slow_ms + d.startup_ms * coalesce(n.startup_factor, 1),
        FALSE
    ) AS startup,
    s.startup_ms / (d.startup_ms * coalesce(n.startup_factor, 1)) AS startup_ratio,
    s.failed > 0 AS failure,
    s.denied > 0 AS refused,
    CASE WHEN s.denied > 0 THEN s.error_code END AS refusal_code
FROM slices AS s
LEFT JOIN subscriber_normals AS n ON n.subscriber_id = s.subscriber_id
LEFT JOIN device_normals AS d ON d.device_type = s.device_type
WHERE s.slot >= $from AND s.slot < $to AND ($changed IS NULL OR s.changed_time = $changed)
ORDER BY s.session_id, s.slot
