-- One range, as it is now that this session has it. %(range)s
SELECT id, target, above, up_to, reached, rows_done, counts, failures
FROM callctl.rotation_range WHERE id = %(range)s AND finished_at IS NULL
