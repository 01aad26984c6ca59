-- Ids of events that come more than once: here in an earlier file.
INSERT INTO contested_ids
SELECT event_id FROM stored_copies ANTI JOIN contested_ids USING (event_id);

SELECT count(*) FROM contested_ids;
