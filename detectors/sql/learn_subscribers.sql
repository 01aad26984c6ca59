-- Learn one day, $day, of every subscriber's playback. A slice counts at most $clip of its time as stalled, and a
-- start at most a factor e from usual, so that a fault is not learnt as somebody's normal. A session stalls badly by
-- the same rule as everywhere ($min_session_ms, $min_ratio, $own_factor), judged against what was normal before.
INSERT INTO subscriber_days
WITH played AS (
    SELECT
        subscriber_id,
        session_id,
        sum(playing_ms + stalled_ms) AS playing_ms,
        sum(stalled_ms) AS stalled_ms,
        sum(least(stalled_ms, CAST($clip * (playing_ms + stalled_ms) AS BIGINT))) AS clipped_ms,
        max(startup_ms) AS startup_ms,
        max(device_type) AS device_type
    FROM slices
    WHERE slot >= CAST($day AS TIMESTAMP) AND slot < CAST($day AS TIMESTAMP) + INTERVAL 1 DAY
    GROUP BY subscriber_id, session_id
)
SELECT
    $day,
    s.subscriber_id,
    sum(s.playing_ms),
    sum(s.clipped_ms),
    count(s.startup_ms),
    coalesce(
        sum(CAST(1e6 * greatest(-1, least(1, ln(greatest(s.startup_ms, 1) / d.startup_ms))) AS BIGINT))
            FILTER (WHERE s.startup_ms IS NOT NULL AND d.startup_ms IS NOT NULL),
        0
    ) / 1e6,
    count_if(s.playing_ms > 0),
    count_if(
        s.stalled_ms >= $min_session_ms
        AND s.stalled_ms > $min_ratio * s.playing_ms
        AND s.stalled_ms > $own_factor * coalesce(n.rebuffering_ratio, 0) * s.playing_ms
    )
FROM played AS s
LEFT JOIN device_normals AS d ON d.device_type = s.device_type
LEFT JOIN subscriber_normals AS n ON n.subscriber_id = s.subscriber_id
GROUP BY s.subscriber_id
