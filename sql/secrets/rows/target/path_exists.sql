-- Whether a row has a declared path. %(path)s: as jsonpath; %(account_type)s: NULL for rows of any type
SELECT EXISTS (
  SELECT FROM {relation} AS t
  WHERE {condition} AND (%(account_type)s::text IS NULL OR {account_type} = %(account_type)s)
    AND jsonb_path_exists({document}, %(path)s::jsonpath))
