-- How many pages a table has now; NULL where it is gone. %(oid)s
SELECT pg_relation_size(%(oid)s::oid) / current_setting('block_size')::bigint
