-- Everybody's own normal over the days from $from, shrunk towards all subscribers' by $prior_ms of playing time,
-- $prior_starts starts and $prior_stalling badly stalling sessions.
CREATE OR REPLACE TABLE subscriber_normals AS
WITH everyone AS (
    SELECT
        sum(stalled_ms) / greatest(sum(playing_ms), 1) AS ratio,
        (sum(stalling) + 1) / (sum(sessions) + 50) AS stalling_share
    FROM subscriber_days
    WHERE day >= $from
)
SELECT
    subscriber_id,
    (sum(stalled_ms) + $prior_ms * any_value(everyone.ratio)) / (sum(playing_ms) + $prior_ms) AS rebuffering_ratio,
    exp(sum(startup_excess) / (sum(starts) + $prior_starts)) AS startup_factor,
    (sum(stalling) + $prior_stalling)
    / (sum(sessions) * any_value(everyone.stalling_share) + $prior_stalling) AS stalling_factor
FROM subscriber_days, everyone
WHERE day >= $from
GROUP BY subscriber_id
