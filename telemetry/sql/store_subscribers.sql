-- New and changed subscribers; of several rows with one subscriber_id the last stays.
CREATE OR REPLACE TEMP TABLE newest AS
SELECT * EXCLUDE (line, raw, problem, good)
FROM incoming
WHERE good
QUALIFY row_number() OVER (PARTITION BY subscriber_id ORDER BY line DESC) = 1;

CREATE OR REPLACE TEMP TABLE changed AS
FROM newest EXCEPT FROM subscribers;

DELETE FROM subscribers WHERE subscriber_id IN (SELECT subscriber_id FROM changed);

INSERT INTO subscribers BY NAME FROM changed ORDER BY subscriber_id;

SELECT
    (SELECT count(*) FROM incoming WHERE good) AS good,
    (SELECT count(*) FROM changed) AS changed;
