-- Stored events that this file brings again, in one range of time.
INSERT INTO stored_copies
SELECT stored.rowid AS stored_row, stored.*
FROM event_rows AS stored
SEMI JOIN arriving_ids ON hash(stored.event_id) = event_key
WHERE stored.occurred_time >= $from_time AND stored.occurred_time < $until_time
    AND stored.rowid NOT IN (SELECT stored_row FROM stored_copies);
