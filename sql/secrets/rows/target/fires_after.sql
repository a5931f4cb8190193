-- Whether a trigger fires after an UPDATE of a table, which could change what the UPDATE has returned.
SELECT callctl.fires_after({relation_name}::regclass)
