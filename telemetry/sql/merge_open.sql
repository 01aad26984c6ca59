-- The batches with events received before $until that are not merged yet, from when on, and how many sessions must be
-- counted afresh.
SELECT
    min(batch_id), max(batch_id), min(coalesce(merged_until, min_received)),
    (SELECT count(*) FROM stale_sessions)
FROM batches
WHERE table_name = 'playback' AND min_received < $until
    AND (merged_until IS NULL OR (merged_until < $until AND max_received >= merged_until));
