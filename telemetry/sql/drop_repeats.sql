-- Copies of one event within a file: the one received first stays; of copies received together, the first by content.
DELETE FROM event_rows
WHERE batch_id = $batch_id AND rowid IN (
    SELECT row_id
    FROM (
        SELECT
            rowid AS row_id,
            row_number() OVER (
                PARTITION BY event_id
                ORDER BY
                    received_time, event_time, context_id, event, startup_ms, playing_ms, stalled_ms, stall_count,
                    bitrate_kbps, error_class, error_code
            ) AS copy
        FROM event_rows
        WHERE batch_id = $batch_id AND event_id IN (
            SELECT event_id FROM event_rows WHERE batch_id = $batch_id GROUP BY event_id HAVING count(*) > 1
        )
    )
    WHERE copy > 1
);
