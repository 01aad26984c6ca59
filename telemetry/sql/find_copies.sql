-- Events of this file that earlier files brought already, in one range of time.
INSERT INTO stored_copies
SELECT stored.rowid AS row_id, stored.*
FROM event_rows AS stored
WHERE stored.batch_id <> $batch_id
    AND stored.occurred_time >= $from_time AND stored.occurred_time < $until_time
    AND stored.event_id IN (SELECT event_id FROM event_rows WHERE batch_id = $batch_id);
