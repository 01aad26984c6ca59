-- Stored events that give way to a copy received earlier. If one was merged already, what its session counted is
-- counted afresh by the next merge: the old copy's session, and the new one's should it name another.
INSERT INTO stale_sessions
SELECT DISTINCT contests.session_key
FROM contests
WHERE event_id IN (
    SELECT event_id
    FROM contests
    JOIN batches USING (batch_id)
    WHERE stored_row IS NOT NULL AND place > 1 AND received_time < merged_until
);

DELETE FROM event_rows
WHERE rowid IN (SELECT stored_row FROM contests WHERE stored_row IS NOT NULL AND place > 1);
