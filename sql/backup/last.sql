-- The newest dump that this database is known to be in: one taken of it, or the one that it was restored from. It is the audit
-- trail's newest row about either, since a restored database brings the trail of the one that it was taken from.
SELECT command, (detail ->> 'taken_at')::timestamp with time zone, detail ->> 'file', client
FROM callctl.action
WHERE command IN ('backup', 'restore') AND detail ->> 'taken_at' IS NOT NULL
ORDER BY id DESC
LIMIT 1
