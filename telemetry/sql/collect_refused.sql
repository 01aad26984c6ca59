-- The rows that break the contract; a problem reads 'reason|detail'.
INSERT INTO refused
SELECT line, split_part(problem, '|', 1), split_part(problem, '|', 2), raw
FROM incoming
WHERE NOT good;
