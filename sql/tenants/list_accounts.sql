-- The integration accounts that are not deleted, and the state of each. No secret is read, and no error's text, which may hold one.
-- A time that is infinite, or that no calendar has, is NULL; so is one of an error in the future.
SELECT a.id::text, a.account_type, a.account_name, a.company_id::text, to_jsonb(c) ->> 'slug' AS slug,
       to_jsonb(c) ->> 'name' AS company_name, a.status, a.is_active,
       CASE WHEN (a.last_error IS NOT NULL OR a.status = 'error') AND a.last_error_at BETWEEN '0001-01-02' AND now()
            THEN a.last_error_at END AS last_error_at,
       CASE WHEN a.last_verified_at BETWEEN '0001-01-02' AND '9999-12-30' THEN a.last_verified_at END AS last_verified_at,
       CASE WHEN a.token_expires_at BETWEEN '0001-01-02' AND '9999-12-30' THEN a.token_expires_at END AS token_expires_at,
       a.webhook_url, now() AS now
FROM chatapp.integration_accounts AS a
LEFT JOIN chatapp.companies AS c ON c.id = a.company_id
WHERE a.deleted_at IS NULL
ORDER BY 5, 2, 1;
