-- steps: 9
-- means: the application cannot sign in to the provider: calls through this account fail
-- fix: complete the account in the administration

-- check (warns): accounts-complete: the credentials of every active account have the fields of its type
SELECT a.id AS account, a.account_type, a.status
FROM chatapp.integration_accounts AS a
WHERE a.is_active AND a.deleted_at IS NULL AND CASE a.account_type
  WHEN 'twilio' THEN NOT a.credentials ?& ARRAY['accountSid', 'authToken', 'phoneNumber']
  WHEN 'whatsapp' THEN NOT a.credentials ?& ARRAY['businessAccountId', 'phoneNumberId', 'accessToken']
  WHEN 'custom' THEN NOT a.credentials ?& ARRAY['sipUri', 'username', 'password'] END;
