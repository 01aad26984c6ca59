-- Remember events that occurred more than an hour from what their player's clock said.
INSERT INTO strays
SELECT event_id, occurred_time
FROM event_rows
WHERE batch_id = $batch_id
    AND (event_time < occurred_time - INTERVAL 1 HOUR OR event_time > occurred_time + INTERVAL 1 HOUR);
