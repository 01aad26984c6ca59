-- New and changed contacts; of several rows with one contact_id the last stays.
CREATE OR REPLACE TEMP TABLE newest AS
SELECT * EXCLUDE (line, raw, problem, good)
FROM incoming
WHERE good
QUALIFY row_number() OVER (PARTITION BY contact_id ORDER BY line DESC) = 1;

CREATE OR REPLACE TEMP TABLE changed AS
FROM newest EXCEPT FROM contacts;

DELETE FROM contacts WHERE contact_id IN (SELECT contact_id FROM changed);

INSERT INTO contacts BY NAME FROM changed ORDER BY contact_id;

SELECT
    (SELECT count(*) FROM incoming WHERE good) AS good,
    (SELECT count(*) FROM changed) AS changed;
