-- parameters: account, company

-- The account that they come in by. Inactive and soft-deleted: no user signs in with it, or misses its credentials.
INSERT INTO chatapp.integration_accounts (id, company_id, account_type, account_name, credentials, status, is_active, deleted_at)
VALUES ($1::uuid, $2::uuid, 'custom', 'callctl load test', '{}', 'inactive', false, now())
