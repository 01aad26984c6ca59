-- The good rows whose id comes once.
INSERT INTO event_rows BY NAME
SELECT * EXCLUDE (line, good), $batch_id AS batch_id
FROM arriving_events
ANTI JOIN contested_ids ON hash(event_id) = event_key
WHERE good;
