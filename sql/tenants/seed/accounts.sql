-- The development accounts that are there, deleted ones too; the live ones first.
SELECT t.id::text, t.account_type, t.account_name, t.deleted_at IS NULL
FROM {accounts} AS t
WHERE (t.account_type, t.account_name) IN (SELECT * FROM unnest(%(types)s::text[], %(names)s::text[]))
ORDER BY t.deleted_at IS NULL DESC, t.id
