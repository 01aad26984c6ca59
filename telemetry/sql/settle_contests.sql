-- Of the copies of an event, arriving and stored, one stays: that received first; of those received together, the first
-- by content, so that the order in which files come makes no difference.
CREATE OR REPLACE TEMP TABLE contests AS
WITH copies AS (
    SELECT * EXCLUDE (line, good), NULL::BIGINT AS stored_row, NULL::INTEGER AS batch_id
    FROM contested_events
    WHERE good
    UNION ALL BY NAME
    FROM stored_copies
)
SELECT
    *,
    row_number() OVER (
        PARTITION BY event_id
        ORDER BY
            received_time, event_time, context_id, event, startup_ms, playing_ms, stalled_ms, stall_count,
            bitrate_kbps, error_class, error_code, stored_row NULLS LAST
    ) AS place
FROM copies;

INSERT INTO event_rows BY NAME
SELECT * EXCLUDE (stored_row, place) REPLACE ($batch_id AS batch_id)
FROM contests
WHERE place = 1 AND stored_row IS NULL;

-- How many events are new, and how many stored ones give way.
SELECT
    count(*) FILTER (WHERE stored_row IS NULL AND place = 1)
        - count(*) FILTER (WHERE stored_row IS NOT NULL AND place > 1),
    count(*) FILTER (WHERE stored_row IS NOT NULL AND place > 1)
FROM contests;
