-- Merged slices take the place of those counted before, and it is marked until when all is merged.
DELETE FROM slice_rows WHERE rowid IN (SELECT counted_row FROM merged WHERE counted_row IS NOT NULL);

INSERT INTO slice_rows BY NAME
SELECT * EXCLUDE (other_context_id, new_events, counted_row, counted_context_id), $until AS changed_time
FROM merged
ORDER BY slot;

UPDATE batches
SET merged_until = $until
WHERE batch_id BETWEEN $first_batch AND $last_batch AND table_name = 'playback' AND min_received < $until
    AND (merged_until IS NULL OR (merged_until < $until AND max_received >= merged_until));
