-- The steps taken since then, up or down, in order. %(taken_at)s
SELECT step, direction FROM callctl.history WHERE finished_at > %(taken_at)s ORDER BY id
