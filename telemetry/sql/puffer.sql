-- Puffer's chunks (a stream is a run of video chunks of 2.002 s) as playback events of the contract.
-- puffer_stalls holds, for each chunk, how long the player stalled before it (see the adapter).
-- Milliseconds are rounded on the running total, so that they add up to the rounded total.
WITH chunks AS (
    SELECT
        dataset || '/' || session AS stream,
        row_number() OVER (PARTITION BY dataset, session ORDER BY file_row_number) AS chunk,
        count(*) OVER (PARTITION BY dataset, session) AS chunks,
        file_row_number + 1 AS line,
        start_time::TIMESTAMPTZ::TIMESTAMP AS sent_time,
        end_time::TIMESTAMPTZ::TIMESTAMP AS arrived_time,
        size * 8 / 2.002 AS kbps,
        stalled_s
    FROM read_parquet($source, file_row_number = true)
    JOIN puffer_stalls ON puffer_stalls.line = file_row_number + 1
),
running AS (
    SELECT
        *,
        round(1000 * sum(stalled_s) OVER (PARTITION BY stream ORDER BY chunk))::BIGINT AS stalled_so_far_ms,
        round(2002 * chunk)::BIGINT AS played_so_far_ms
    FROM chunks
),
events AS (
    SELECT stream || '#0' AS event_id, stream, line, sent_time AS event_time, 'play_requested' AS event,
        NULL AS startup_ms, NULL AS playing_ms, NULL AS stalled_ms, NULL AS stall_count, NULL AS bitrate_kbps
    FROM running
    WHERE chunk = 1
    UNION ALL
    SELECT stream || '#1', stream, line, arrived_time, 'play_started',
        (epoch_ms(arrived_time) - epoch_ms(sent_time)), NULL, NULL, NULL, NULL
    FROM running
    WHERE chunk = 1
    UNION ALL
    SELECT stream || '#' || (chunk + 1), stream, line, arrived_time,
        CASE WHEN chunk = chunks THEN 'play_ended' ELSE 'heartbeat' END,
        NULL,
        played_so_far_ms - lag(played_so_far_ms, 1, 0) OVER (PARTITION BY stream ORDER BY chunk),
        stalled_so_far_ms - lag(stalled_so_far_ms, 1, 0) OVER (PARTITION BY stream ORDER BY chunk),
        (stalled_s > 0)::INTEGER,
        round(kbps)::INTEGER
    FROM running
)
SELECT
    line, NULL::VARCHAR AS raw, NULL::VARCHAR AS broken,
    event_id, event_time, event_time AS received_time, stream AS session_id, stream AS subscriber_id, event,
    startup_ms::INTEGER AS startup_ms, playing_ms::INTEGER AS playing_ms, stalled_ms::INTEGER AS stalled_ms,
    stall_count::INTEGER AS stall_count, bitrate_kbps::INTEGER AS bitrate_kbps,
    NULL::VARCHAR AS error_class, NULL::VARCHAR AS error_code, NULL::VARCHAR AS country, NULL::VARCHAR AS region,
    NULL::VARCHAR AS isp, NULL::VARCHAR AS cdn, NULL::VARCHAR AS device_type, NULL::VARCHAR AS app_version,
    NULL::VARCHAR AS connection_type, NULL::VARCHAR AS content_type, NULL::VARCHAR AS title_id
FROM events
