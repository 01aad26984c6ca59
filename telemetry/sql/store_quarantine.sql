-- Rows that break the contract. A row that an earlier reading of the same file refused is not listed twice.
INSERT INTO quarantine
SELECT $batch_id, $source, refused.line, refused.reason, refused.detail, refused.raw
FROM refused
WHERE NOT EXISTS (
    SELECT 1
    FROM quarantine AS earlier
    JOIN batches USING (batch_id)
    WHERE (batches.digest = $digest OR batches.source = $source)
        AND earlier.line IS NOT DISTINCT FROM refused.line
        AND earlier.reason = refused.reason AND earlier.detail = refused.detail
        AND earlier.raw IS NOT DISTINCT FROM refused.raw
)
ORDER BY refused.line, refused.reason;
