-- The file's events by a hash of their id, and by time; and the hashes that come more than once: here within the file.
-- Two ids with one hash are merely compared in full without need.
CREATE OR REPLACE TEMP TABLE arriving_ids AS
SELECT hash(event_id) AS event_key, event_time FROM incoming WHERE event_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE contested_ids AS
SELECT event_key FROM arriving_ids GROUP BY event_key HAVING count(*) > 1;

CREATE OR REPLACE TEMP TABLE stored_copies AS
SELECT rowid AS stored_row, * FROM event_rows LIMIT 0;

SELECT EXISTS (FROM batches WHERE min_received IS NOT NULL), (SELECT count(*) FROM contested_ids);
