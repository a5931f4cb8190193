-- Commits of this session let go of their locks before they are on disk. A crash takes the newest of them away, whole and in
-- order, as if the run had been killed earlier; database/flush.sql waits before anybody is told that something is done.
SELECT set_config('synchronous_commit', 'off', false)
