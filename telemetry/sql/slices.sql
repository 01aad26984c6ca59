-- Slices: what is fresh, added to what was counted of the same session and slot. Every column is merged by a sum, a
-- minimum or a maximum, so neither the order of files nor the cut of windows changes the result.
CREATE OR REPLACE TEMP TABLE fresh_slices AS
SELECT contexts.session_id, fresh.* FROM fresh JOIN contexts USING (context_id);

CREATE OR REPLACE TEMP TABLE touched_slices AS
SELECT slice_rows.rowid AS row_id, slice_rows.*
FROM slice_rows
SEMI JOIN fresh_slices USING (session_id, slot)
WHERE slot >= $first_slot;

CREATE OR REPLACE TEMP TABLE merged_slices AS
WITH parts AS (
    FROM fresh_slices
    UNION ALL BY NAME
    SELECT * EXCLUDE (row_id, changed_time) FROM touched_slices
)
SELECT
    session_id, slot,
    min(context_id) AS context_id,
    max(context_id) AS other_context_id,
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
GROUP BY ALL;
