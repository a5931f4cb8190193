-- The progress of a rotation, of all its processes: rows done, rows there were, ranges left. %(rotation)s
SELECT coalesce(sum(rows_done), 0)::bigint, coalesce(sum(row_count), 0)::bigint,
       count(*) FILTER (WHERE finished_at IS NULL), coalesce(sum(failures), 0)::bigint
FROM callctl.rotation_range WHERE rotation = %(rotation)s
