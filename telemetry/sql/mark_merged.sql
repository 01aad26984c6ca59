-- Until here everything received is merged.
UPDATE batches SET merged_until = $until WHERE batch_id IN (SELECT batch_id FROM open_batches);
