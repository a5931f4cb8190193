-- Step 9, back: integration_accounts goes to the archive, rows, indexes and foreign keys and all. Nothing is dropped.
-- Specification: L1245-1258 (which drops the table).

DROP TRIGGER IF EXISTS update_integration_accounts_updated_at ON chatapp.integration_accounts;

ALTER TABLE chatapp.integration_accounts SET SCHEMA callctl;

-- That it is there, and as what: verify compares it.
SELECT callctl.remember_archived(9, 'callctl.integration_accounts'::regclass);

-- The function goes if callctl made it, and nothing else has come to use it.
SELECT callctl.drop_made_function(9);
