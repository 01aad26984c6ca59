-- Sessions that turned bad between $start and $end, with the signal and the moment it could be known, by limits that
-- are the same for everyone: a failure, a refusal, a start slower than $slow_start_ms, or stalling of at least
-- $stalled_ms and more than $stall_ratio of the time so far.
CREATE OR REPLACE TEMP TABLE static_sessions AS
WITH so_far AS (
    SELECT
        *,
        sum(coalesce(stalled_ms, 0)) OVER sofar AS stalled,
        sum(coalesce(stalled_ms, 0) + coalesce(playing_ms, 0)) OVER sofar AS watched
    FROM events
    WHERE received_time >= $start - INTERVAL 6 HOURS AND received_time < $end
    WINDOW sofar AS (PARTITION BY session_id ORDER BY received_time, event_id)
),
judged AS (
    SELECT
        *,
        CASE
            WHEN event = 'play_failed' THEN 'failure'
            WHEN event = 'access_denied' THEN 'access'
            WHEN stalled >= $stalled_ms AND stalled > $stall_ratio * watched THEN 'buffering'
            WHEN startup_ms > $slow_start_ms THEN 'startup'
        END AS signal
    FROM so_far
)
SELECT
    session_id,
    min(subscriber_id) AS subscriber_id,
    min(received_time) AS seen_time,
    min(received_time) FILTER (WHERE signal IS NOT NULL) AS bad_time,
    arg_min(signal, received_time) FILTER (WHERE signal IS NOT NULL) AS signal,
    any_value(country) AS country, any_value(region) AS region, any_value(isp) AS isp, any_value(cdn) AS cdn,
    any_value(device_type) AS device_type, any_value(app_version) AS app_version,
    any_value(connection_type) AS connection_type, any_value(content_type) AS content_type,
    any_value(title_id) AS title_id
FROM judged
GROUP BY session_id
