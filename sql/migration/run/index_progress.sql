-- How far the index build of one session has come. %(pid)s
SELECT p.phase,
       greatest(p.blocks_done, p.tuples_done) AS done,
       greatest(p.blocks_total, p.tuples_total) AS total,
       p.lockers_total - p.lockers_done AS waiting_for
FROM pg_stat_progress_create_index AS p
WHERE p.pid = %(pid)s
