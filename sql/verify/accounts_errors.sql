-- steps: 9
-- means: calls through this account fail, and have failed for a while
-- mends: callctl accounts --problems; test the connection in the administration, which clears the error

-- L1056-1072: an error is cleared when the connection is verified again; one that persists for more than an hour is to alert
-- somebody. An account that is switched off takes no calls. An error of which the time is not known counts as old, and so does
-- one of a time that has not come yet.
-- check (warns): accounts-errors: no active account has been in error for more than an hour
SELECT a.id AS account, a.account_type, a.last_error_at::text AS last_error_at FROM chatapp.integration_accounts AS a
WHERE a.is_active AND a.deleted_at IS NULL
  AND COALESCE(a.last_error_at < now() - interval '1 hour' OR a.last_error_at > now(), true)
  AND (a.status = 'error' OR a.last_error IS NOT NULL AND COALESCE(a.last_verified_at < a.last_error_at, true));
