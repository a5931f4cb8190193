-- steps: 9
-- means: the provider does not know where to send this account's calls
-- fix: UPDATE the account's webhook_url to the documented form, and enter it at the provider

-- L1030-1036: twilio and whatsapp call a webhook. A pending account is not set up yet.
-- check (warns): accounts-addressed: every active account of twilio or whatsapp that is set up has a webhook URL
SELECT a.id AS account, a.account_type, a.status FROM chatapp.integration_accounts AS a
WHERE a.is_active AND a.deleted_at IS NULL AND a.account_type IN ('twilio', 'whatsapp') AND a.status <> 'pending'
  AND COALESCE(a.webhook_url, '') = '';
