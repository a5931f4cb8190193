-- steps: 9
-- means: calls through this account have been failing for more than an hour
-- fix: run callctl accounts --problems; then test the connection in the administration, which clears the error

-- L1056-1072: the application clears an error when the connection is verified again; an alert is due after more than an hour.
-- An account that is switched off takes no calls. An error with an unknown time, or a time in the future, counts as old.
-- check (warns): accounts-errors: no active account has been in error for more than an hour
SELECT a.id AS account, a.account_type, a.last_error_at::text AS last_error_at FROM chatapp.integration_accounts AS a
WHERE a.is_active AND a.deleted_at IS NULL
  AND COALESCE(a.last_error_at < now() - interval '1 hour' OR a.last_error_at > now(), true)
  AND (a.status = 'error' OR a.last_error IS NOT NULL AND COALESCE(a.last_verified_at < a.last_error_at, true));
