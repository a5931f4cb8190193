-- Every row that may hold a secret, to be counted.
SELECT {key}::text, {version}, {row_id}, {company}, {account_type}, {columns}
FROM {relation} AS t
WHERE {condition}
