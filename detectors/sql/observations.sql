-- What was wrong in each of the slices `wanted`, each judged against the viewer's own normal; those before $from
-- are only looked at for memory.
--
-- A slice stalls badly when it stalled at least $min_stalled_ms and more than $min_ratio of its time, and more
-- than $own_factor times this person's usual ratio. A start is slow when it took more than $slow_factor times what
-- is usual for this person on this device type, and at least $slow_ms longer.
--
-- One person's repeated trouble is one piece of evidence about a cohort: an impairment is `fresh` when the same
-- subscriber had none of that signal in the $memory_hours hours before.
judged AS (
    SELECT
        s.session_id, s.subscriber_id, s.slot,
        s.country, s.region, s.isp, s.cdn, s.device_type, s.app_version, s.connection_type, s.content_type, s.title_id,
        s.first_time, s.last_time, s.error_class, s.playing_ms, s.stalled_ms,
        coalesce(n.rebuffering_ratio, 0) AS own_ratio,
        TRUE AS present,
        s.requested > 0 OR s.denied > 0 OR (s.failed > 0 AND s.playing_ms = 0) AS attempt,
        s.playing_ms + s.stalled_ms > 0 AS played,
        s.startup_ms IS NOT NULL AS started,
        s.failed > 0 AS failure,
        s.denied > 0 AS access,
        s.stalled_ms >= $min_stalled_ms
        AND s.stalled_ms > $min_ratio * (s.playing_ms + s.stalled_ms)
        AND s.stalled_ms > $own_factor * coalesce(n.rebuffering_ratio, 0) * (s.playing_ms + s.stalled_ms)
            AS buffering,
        coalesce(
            s.startup_ms > $slow_factor * d.startup_ms * coalesce(n.startup_factor, 1)
            AND s.startup_ms > $slow_ms + d.startup_ms * coalesce(n.startup_factor, 1),
            FALSE
        ) AS startup
    FROM wanted AS s
    LEFT JOIN subscriber_normals AS n ON n.subscriber_id = s.subscriber_id
    LEFT JOIN device_normals AS d ON d.device_type = s.device_type
),
dated AS (
    SELECT
        *,
        max(CASE WHEN buffering THEN slot END) OVER earlier AS last_buffering,
        max(CASE WHEN startup THEN slot END) OVER earlier AS last_startup,
        max(CASE WHEN failure THEN slot END) OVER earlier AS last_failure,
        max(CASE WHEN access THEN slot END) OVER earlier AS last_access
    FROM judged
    WINDOW earlier AS (
        PARTITION BY subscriber_id ORDER BY slot, session_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)
SELECT
    * EXCLUDE (last_buffering, last_startup, last_failure, last_access),
    buffering AND coalesce(last_buffering < slot - to_hours($memory_hours), TRUE) AS fresh_buffering,
    startup AND coalesce(last_startup < slot - to_hours($memory_hours), TRUE) AS fresh_startup,
    failure AND coalesce(last_failure < slot - to_hours($memory_hours), TRUE) AS fresh_failure,
    access AND coalesce(last_access < slot - to_hours($memory_hours), TRUE) AS fresh_access
FROM dated
WHERE slot >= $from
