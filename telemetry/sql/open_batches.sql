-- Batches with events received before $until that are not merged yet, and from when.
CREATE OR REPLACE TEMP TABLE open_batches AS
SELECT batch_id, coalesce(merged_until, min_received) AS from_time
FROM batches
WHERE table_name = 'playback' AND min_received < $until
    AND (merged_until IS NULL OR (merged_until < $until AND max_received >= merged_until));

SELECT min(batch_id), max(batch_id), min(from_time) FROM open_batches;
