-- Its end. %(rotation)s, %(outcome)s: done, or given up for another
UPDATE callctl.rotation SET finished_at = clock_timestamp(), outcome = %(outcome)s WHERE id = %(rotation)s AND finished_at IS NULL
