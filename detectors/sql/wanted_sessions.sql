-- The sessions from $from to $to (exclusive) of the subscribers who had a materially bad slice in what was merged
-- from $changed on, each with how its viewer is used to play. `failed` and `denied` count; times are of the player.
WITH struck AS (
    SELECT DISTINCT s.subscriber_id
    FROM slices AS s
    LEFT JOIN subscriber_normals AS n ON n.subscriber_id = s.subscriber_id
    LEFT JOIN device_normals AS d ON d.device_type = s.device_type
    WHERE s.changed_time >= $changed AND s.slot >= $from AND s.slot < $to
        AND (
            s.failed > 0
            OR s.denied > 0
            OR s.stalled_ms >= $min_stalled_ms
            OR s.startup_ms > $slow_ms + d.startup_ms * coalesce(n.startup_factor, 1)
        )
)
SELECT
    s.session_id,
    s.subscriber_id,
    min(s.first_time) AS started_time,
    max(s.last_time) AS last_time,
    max(s.country) AS country, max(s.region) AS region, max(s.isp) AS isp, max(s.cdn) AS cdn,
    max(s.device_type) AS device_type, max(s.app_version) AS app_version,
    max(s.connection_type) AS connection_type, max(s.content_type) AS content_type, max(s.title_id) AS title_id,
    CAST(sum(s.playing_ms) AS BIGINT) AS playing_ms,
    CAST(sum(s.stalled_ms) AS BIGINT) AS stalled_ms,
    coalesce(max(s.startup_ms), 0) AS startup_ms,
    max(s.failed) > 0 AS failure,
    max(s.denied) > 0 AS access,
    max(s.error_class) AS error_class,
    coalesce(any_value(n.rebuffering_ratio), 0) AS own_ratio,
    coalesce(any_value(n.stalling_factor), 1) AS stalling_factor,
    coalesce(max(d.startup_ms) * coalesce(any_value(n.startup_factor), 1), 0) AS usual_startup_ms
FROM slices AS s
LEFT JOIN subscriber_normals AS n ON n.subscriber_id = s.subscriber_id
LEFT JOIN device_normals AS d ON d.device_type = s.device_type
WHERE s.slot >= $from AND s.slot < $to AND s.subscriber_id IN (SELECT subscriber_id FROM struck)
GROUP BY s.session_id, s.subscriber_id
ORDER BY s.subscriber_id, started_time, s.session_id
