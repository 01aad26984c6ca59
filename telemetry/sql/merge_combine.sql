-- What is fresh, added to what was counted of the same session and slot. Every column is a sum, a minimum or a
-- maximum, so neither the order of files nor the cut of windows changes the result.
CREATE OR REPLACE TEMP TABLE combined AS
WITH parts AS (
    SELECT * FROM fresh SEMI JOIN counted USING (session_key, slot)
    UNION ALL BY NAME
    SELECT * EXCLUDE (counted_row) FROM counted
)
SELECT
    session_key,
    slot,
    min(context_id) AS context_id,
    max(other_context_id) AS other_context_id,
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
    min(first_time) AS first_time,
    max(last_time) AS last_time,
    max(last_received) AS last_received,
    sum(events) AS events
FROM parts
GROUP BY session_key, slot;

DELETE FROM fresh WHERE (session_key, slot) IN (SELECT (session_key, slot) FROM counted);

INSERT INTO fresh BY NAME FROM combined;
