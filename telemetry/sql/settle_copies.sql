-- Of an incoming event and its stored copy the one received first stays (received together: the first by content).
-- Where that is the incoming one and the other was counted already, its session is counted afresh by the next merge.
CREATE OR REPLACE TEMP TABLE contests AS
SELECT
    incoming.rowid AS incoming_row, stored.row_id AS stored_row, stored.context_id AS stored_context,
    incoming.context_id AS incoming_context,
    stored.received_time < batches.merged_until AS was_merged,
    (incoming.received_time, incoming.event_time, incoming.context_id, incoming.event,
        coalesce(incoming.startup_ms, -1), coalesce(incoming.playing_ms, -1), coalesce(incoming.stalled_ms, -1),
        coalesce(incoming.stall_count, -1), coalesce(incoming.bitrate_kbps, -1),
        coalesce(incoming.error_class::VARCHAR, ''), coalesce(incoming.error_code, ''))
    < (stored.received_time, stored.event_time, stored.context_id, stored.event,
        coalesce(stored.startup_ms, -1), coalesce(stored.playing_ms, -1), coalesce(stored.stalled_ms, -1),
        coalesce(stored.stall_count, -1), coalesce(stored.bitrate_kbps, -1),
        coalesce(stored.error_class::VARCHAR, ''), coalesce(stored.error_code, '')) AS incoming_wins
FROM stored_copies AS stored
JOIN event_rows AS incoming ON incoming.batch_id = $batch_id AND incoming.event_id = stored.event_id
JOIN batches ON batches.batch_id = stored.batch_id;

DELETE FROM event_rows
WHERE batch_id = $batch_id AND rowid IN (SELECT incoming_row FROM contests WHERE NOT incoming_wins);

SELECT count(*), count(*) FILTER (WHERE incoming_wins) FROM contests;
