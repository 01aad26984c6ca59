-- The file's events by id and time, and the ids that come more than once: here within the file.
CREATE OR REPLACE TEMP TABLE arriving_ids AS
SELECT event_id, event_time FROM incoming WHERE event_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE contested_ids AS
SELECT event_id FROM arriving_ids GROUP BY event_id HAVING count(*) > 1;

CREATE OR REPLACE TEMP TABLE stored_copies AS
SELECT rowid AS stored_row, * FROM event_rows LIMIT 0;

SELECT EXISTS (FROM batches WHERE min_received IS NOT NULL), (SELECT count(*) FROM contested_ids);
