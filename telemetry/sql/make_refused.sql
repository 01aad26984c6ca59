-- What of this file goes to quarantine.
CREATE OR REPLACE TEMP TABLE refused (line BIGINT, reason VARCHAR, detail VARCHAR, raw VARCHAR);
