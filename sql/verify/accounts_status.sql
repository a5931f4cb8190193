-- steps: 9
-- means: the administration shows an account as working that rejects calls, or the reverse
-- fix: switch the account on or off in the administration, or UPDATE its status

-- L1048-1060: 'inactive' is an account that is switched off, 'active' one that works; errors and pending setups may be either.
-- check (warns): accounts-status: is_active and status of every account agree
SELECT a.id AS account, a.account_type, a.is_active, a.status FROM chatapp.integration_accounts AS a
WHERE a.deleted_at IS NULL AND (a.is_active AND a.status = 'inactive' OR NOT a.is_active AND a.status = 'active');
