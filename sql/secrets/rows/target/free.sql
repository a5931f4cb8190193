-- Returns those of these rows, as they were read, that no other session holds. From here on this transaction holds
-- them. %(keys)s: as text
SELECT {version} FROM {relation} AS t
WHERE {condition} AND {key} = ANY (%(keys)s::text[]::{key_type}[])
ORDER BY {key}
FOR NO KEY UPDATE SKIP LOCKED
