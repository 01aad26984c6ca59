-- The rows of a file on its way in as event_rows, each with its line and whether it is good. An event's own time is believed
-- only where it can be true: not after it was received, and at most twelve hours before.
CREATE OR REPLACE TEMP VIEW arriving_events AS
SELECT
    line, good, event_id, event_time, received_time,
    CASE
        WHEN event_time > received_time OR event_time < received_time - INTERVAL 12 HOURS THEN received_time
        ELSE event_time
    END AS occurred_time,
    hash(session_id) AS session_key,
    hash(
        session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type, content_type,
        title_id
    ) AS context_id,
    TRY_CAST(event AS event_name) AS event,
    startup_ms, playing_ms, stalled_ms, stall_count, bitrate_kbps,
    TRY_CAST(error_class AS error_class) AS error_class,
    error_code
FROM incoming;
