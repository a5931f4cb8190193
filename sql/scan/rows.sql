-- The rows of one table in which something looks like an envelope or a secret. Only they leave the server. The
-- conditions have the parameters in_json and in_text.
SELECT {row_id}, {table}, {account_type}, {base}, {columns}
FROM {relation} AS t
WHERE {condition}
