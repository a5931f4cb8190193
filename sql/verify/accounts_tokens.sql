-- steps: 9
-- means: the application cannot sign in to the provider, or soon cannot: calls through this account fail
-- fix: connect the account again in the administration, or find out why the application does not refresh its token

-- check (warns): accounts-tokens: no token of an active account has expired, or expires within a week
SELECT a.id AS account, a.account_type, a.token_expires_at::text AS token_expires_at FROM chatapp.integration_accounts AS a
WHERE a.is_active AND a.deleted_at IS NULL AND a.token_expires_at < now() + interval '7 days';
