-- Which of these rows there are. %(ids)s: primary keys of the platform's rows, as text
SELECT DISTINCT {row_id} FROM {relation} AS t
WHERE {condition} AND {row_id} = ANY (%(ids)s::text[])
