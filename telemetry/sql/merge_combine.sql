-- What is fresh, together with what was counted before of the same session and slot. Every column is a sum, a minimum
-- or a maximum, so neither the order of files nor the cut of windows changes the result.
CREATE OR REPLACE TEMP TABLE merged AS
SELECT
    fresh.session_key,
    fresh.slot,
    least(fresh.context_id, counted.context_id) AS context_id,
    greatest(fresh.other_context_id, counted.context_id) AS other_context_id,
    fresh.requested + coalesce(counted.requested, 0) AS requested,
    fresh.started + coalesce(counted.started, 0) AS started,
    fresh.failed + coalesce(counted.failed, 0) AS failed,
    fresh.denied + coalesce(counted.denied, 0) AS denied,
    fresh.ended + coalesce(counted.ended, 0) AS ended,
    greatest(fresh.startup_ms, counted.startup_ms) AS startup_ms,
    fresh.playing_ms + coalesce(counted.playing_ms, 0) AS playing_ms,
    fresh.stalled_ms + coalesce(counted.stalled_ms, 0) AS stalled_ms,
    fresh.stall_count + coalesce(counted.stall_count, 0) AS stall_count,
    fresh.bitrate_kbps_ms + coalesce(counted.bitrate_kbps_ms, 0) AS bitrate_kbps_ms,
    greatest(fresh.error_class, counted.error_class) AS error_class,
    greatest(fresh.error_code, counted.error_code) AS error_code,
    least(fresh.first_time, counted.first_time) AS first_time,
    greatest(fresh.last_time, counted.last_time) AS last_time,
    greatest(fresh.last_received, counted.last_received) AS last_received,
    fresh.events + coalesce(counted.events, 0) AS events,
    fresh.events AS new_events,
    counted.rowid AS counted_row,
    counted.context_id AS counted_context_id
FROM fresh
LEFT JOIN slice_rows AS counted USING (session_key, slot);

-- How many events are fresh, how many slices change, and how many of these have more than one context.
SELECT coalesce(sum(new_events), 0), count(*), count(*) FILTER (WHERE context_id <> other_context_id)
FROM merged;
