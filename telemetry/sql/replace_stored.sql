-- Stored events that give way to a copy received earlier.
INSERT INTO stale_sessions
SELECT DISTINCT contexts.session_id
FROM contests
JOIN contexts ON contexts.context_id IN (contests.stored_context, contests.incoming_context)
WHERE incoming_wins AND was_merged;

DELETE FROM event_rows WHERE rowid IN (SELECT stored_row FROM contests WHERE incoming_wins);
