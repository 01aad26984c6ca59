-- Slices counted before, to which something fresh is added.
CREATE OR REPLACE TEMP TABLE counted AS
SELECT slice_rows.rowid AS counted_row, context_id AS other_context_id, slice_rows.* EXCLUDE (changed_time)
FROM slice_rows
SEMI JOIN fresh USING (session_key, slot);
