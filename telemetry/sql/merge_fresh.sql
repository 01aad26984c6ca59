-- What the events not merged yet add, by session and slot: the heavy step, and all of it is whole numbers.
CREATE OR REPLACE TEMP TABLE fresh AS
SELECT
    session_key,
    min(context_id) AS context_id,
    max(context_id) AS other_context_id,
    time_bucket(INTERVAL 5 MINUTES, occurred_time) AS slot,
    count(*) FILTER (WHERE event = 'play_requested') AS requested,
    count(*) FILTER (WHERE event = 'play_started') AS started,
    count(*) FILTER (WHERE event = 'play_failed') AS failed,
    count(*) FILTER (WHERE event = 'access_denied') AS denied,
    count(*) FILTER (WHERE event = 'play_ended') AS ended,
    max(startup_ms) AS startup_ms,
    coalesce(sum(playing_ms), 0)::BIGINT AS playing_ms,
    coalesce(sum(stalled_ms), 0)::BIGINT AS stalled_ms,
    coalesce(sum(stall_count), 0)::BIGINT AS stall_count,
    coalesce(sum(bitrate_kbps::BIGINT * playing_ms), 0)::BIGINT AS bitrate_kbps_ms,
    max(error_class) AS error_class,
    max(error_code) AS error_code,
    min(occurred_time) AS first_time,
    max(occurred_time) AS last_time,
    max(received_time) AS last_received,
    count(*) AS events
FROM event_rows
JOIN batches USING (batch_id)
WHERE event_rows.batch_id BETWEEN $first_batch AND $last_batch
    AND received_time >= $from_time AND received_time < $until
    AND (batches.merged_until IS NULL OR received_time >= batches.merged_until)
GROUP BY session_key, slot;
