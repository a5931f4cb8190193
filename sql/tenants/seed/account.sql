-- A development account (specification, section 11). Its webhook secret is made by the server, so that no log has it.
INSERT INTO {accounts} (id, company_id, account_type, account_name, description, credentials, webhook_url, webhook_secret,
                        status, is_active, created_at, updated_at)
VALUES (%(id)s::uuid, %(company)s::uuid, %(type)s, %(name)s, 'Development testing account - DO NOT USE IN PRODUCTION',
        %(credentials)s::jsonb, %(url)s, 'test_webhook_secret_' || gen_random_uuid()::text, 'pending', false, NOW(), NOW())
