-- The newest dump that this database is known to be in: one taken of it, or the one that it was restored from. It is the audit
-- trail's newest row about either, since a restored database brings the trail of the one that it was taken from. And how many
-- steps were taken after it, up or down.
SELECT a.command, a.taken_at, a.file, a.client,
       (SELECT count(*) FROM callctl.history AS h WHERE h.finished_at > a.taken_at)::integer AS steps_since
FROM (
  SELECT id, command, (detail ->> 'taken_at')::timestamp with time zone AS taken_at, detail ->> 'file' AS file, client
  FROM callctl.action
  WHERE command IN ('backup', 'restore') AND detail ? 'taken_at'
  ORDER BY id DESC
  LIMIT 1
) AS a
