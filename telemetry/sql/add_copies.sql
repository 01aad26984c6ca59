-- Events that come more than once: here in an earlier file.
INSERT INTO contested_ids
SELECT DISTINCT hash(event_id) AS event_key FROM stored_copies ANTI JOIN contested_ids ON hash(event_id) = event_key;

SELECT count(*) FROM contested_ids;
