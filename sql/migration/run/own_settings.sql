-- What the run has told its session, and the sessions beside it must be told too
SELECT name, current_setting(name, true)
FROM (VALUES ('callctl.truncate_avatars'), ('callctl.fill'), ('synchronous_commit')) AS own(name)
WHERE current_setting(name, true) IS NOT NULL
