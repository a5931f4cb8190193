-- Step 1: what is true once it is done.

-- check: avatar-url-text: users.avatar_url is text
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type
FROM (VALUES ('chatapp.users'::regclass, 'avatar_url'::name)) AS wanted (relation, name)
LEFT JOIN pg_attribute AS a ON a.attrelid = wanted.relation AND a.attname = wanted.name AND NOT a.attisdropped
WHERE a.atttypid IS DISTINCT FROM 'text'::regtype;
