-- Sessions of which a merged event was replaced are counted afresh: out with what was counted, and all their events
-- that any merge may have seen count as fresh.
DELETE FROM fresh WHERE session_key IN (FROM stale_sessions);

INSERT INTO fresh BY NAME
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
WHERE session_key IN (FROM stale_sessions)
    AND received_time < greatest($until, coalesce(merged_until, $until))
GROUP BY session_key, slot;

DELETE FROM slice_rows WHERE session_key IN (FROM stale_sessions);

DELETE FROM stale_sessions;
