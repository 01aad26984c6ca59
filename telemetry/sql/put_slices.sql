-- The merged slices take the place of those that they were merged with.
DELETE FROM slice_rows WHERE rowid IN (SELECT row_id FROM touched_slices);

INSERT INTO slice_rows BY NAME
SELECT * EXCLUDE (other_context_id), $until AS changed_time FROM merged_slices ORDER BY slot;
