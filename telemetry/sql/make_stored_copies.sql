-- Stored events that this file brings again.
CREATE OR REPLACE TEMP TABLE stored_copies AS
SELECT rowid AS row_id, * FROM event_rows LIMIT 0;
