-- The file's rows whose id comes more than once.
CREATE OR REPLACE TEMP TABLE contested_events AS
FROM arriving_events SEMI JOIN contested_ids ON hash(event_id) = event_key;

SELECT count(*) FILTER (WHERE good) FROM contested_events;
