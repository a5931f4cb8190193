-- Runs on webhook secrets that were not finished. No process works at them: the caller has the lock of such runs.
SELECT id, kind, fields, counts, started_at, client FROM callctl.rotation
WHERE kind IN ('webhook_secrets', 'webhook_secrets_back') AND finished_at IS NULL ORDER BY id
