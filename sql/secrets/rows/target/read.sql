-- The next rows of a range, with the version of each: what is written later must still find that version there.
-- %(above)s, %(up_to)s: keys as text, NULL for an open end; %(rows)s
SELECT {key}::text, {version}, {row_id}, {company}, {account_type}, {columns}
FROM {relation} AS t
WHERE {condition}
  AND (%(above)s::text IS NULL OR {key} > %(above)s::text::{key_type})
  AND (%(up_to)s::text IS NULL OR {key} <= %(up_to)s::text::{key_type})
ORDER BY {key}
LIMIT %(rows)s
