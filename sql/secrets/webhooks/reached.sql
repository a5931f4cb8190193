-- How far it has come, in the transaction that writes the accounts. %(rotation)s, %(counts)s, %(failures)s
UPDATE callctl.rotation SET counts = %(counts)s, failures = %(failures)s WHERE id = %(rotation)s AND finished_at IS NULL
