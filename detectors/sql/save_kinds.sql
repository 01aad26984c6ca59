-- Keep how many sessions of each kind there were on $day.
INSERT INTO session_kinds
SELECT $day, kind, sessions, exposed
FROM kinds
