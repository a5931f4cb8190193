-- The batch before is on this server's disk when this has committed; it let go of its rows' locks before. Batches that ran ahead of
-- the disk would have the commits of clients wait until all that they wrote is there.
SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'callctl', 'batch')
