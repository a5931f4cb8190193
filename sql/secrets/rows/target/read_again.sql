-- The same of given rows: those that another session wrote in between. %(keys)s: as text
SELECT {key}::text, {version}, {row_id}, {company}, {account_type}, {columns}
FROM {relation} AS t
WHERE {condition} AND {key} = ANY (%(keys)s::text[]::{key_type}[])
ORDER BY {key}
{locking}
