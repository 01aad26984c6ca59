-- Sessions: the same sums over a whole playback attempt, added to what was counted of it before.
CREATE OR REPLACE TEMP TABLE fresh_contexts AS
SELECT
    context_id,
    min(slot) AS first_slot,
    sum(requested) AS requested,
    sum(started) AS started,
    sum(failed) AS failed,
    sum(denied) AS denied,
    sum(ended) AS ended,
    max(startup_ms) AS startup_ms,
    sum(playing_ms) AS playing_ms,
    sum(stalled_ms) AS stalled_ms,
    sum(stall_count) AS stall_count,
    sum(bitrate_kbps_ms) AS bitrate_kbps_ms,
    max(error_class)::VARCHAR AS error_class,
    max(error_code) AS error_code,
    min(first_time) AS started_time,
    max(last_time) AS last_time,
    max(last_received) AS last_received,
    sum(events) AS events
FROM fresh
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE fresh_sessions AS
SELECT contexts.*, fresh_contexts.* EXCLUDE (context_id)
FROM fresh_contexts
JOIN contexts USING (context_id);

CREATE OR REPLACE TEMP TABLE touched_sessions AS
SELECT sessions.rowid AS row_id, sessions.* FROM sessions SEMI JOIN fresh_sessions USING (session_id);

DELETE FROM sessions WHERE rowid IN (SELECT row_id FROM touched_sessions);

INSERT INTO sessions BY NAME
WITH parts AS (
    SELECT * EXCLUDE (context_id) FROM fresh_sessions
    UNION ALL BY NAME
    SELECT * EXCLUDE (row_id, outcome, changed_time) FROM touched_sessions
),
merged AS (
    SELECT
        session_id,
        min(subscriber_id) AS subscriber_id,
        min(started_time) AS started_time,
        max(last_time) AS last_time,
        min(first_slot) AS first_slot,
        max(country) AS country,
        max(region) AS region,
        max(isp) AS isp,
        max(cdn) AS cdn,
        max(device_type) AS device_type,
        max(app_version) AS app_version,
        max(connection_type) AS connection_type,
        max(content_type) AS content_type,
        max(title_id) AS title_id,
        sum(requested) AS requested,
        sum(started) AS started,
        sum(failed) AS failed,
        sum(denied) AS denied,
        sum(ended) AS ended,
        max(startup_ms) AS startup_ms,
        sum(playing_ms) AS playing_ms,
        sum(stalled_ms) AS stalled_ms,
        sum(stall_count) AS stall_count,
        sum(bitrate_kbps_ms) AS bitrate_kbps_ms,
        max(error_class) AS error_class,
        max(error_code) AS error_code,
        max(last_received) AS last_received,
        sum(events) AS events
    FROM parts
    GROUP BY ALL
)
SELECT
    *,
    CASE
        WHEN failed > 0 THEN 'failed'
        WHEN denied > 0 THEN 'denied'
        WHEN ended > 0 AND started > 0 THEN 'ended'
        WHEN ended > 0 AND playing_ms > 0 THEN 'ended'
        WHEN ended > 0 THEN 'abandoned'
        ELSE 'playing'
    END AS outcome,
    $until AS changed_time
FROM merged
ORDER BY session_id;
