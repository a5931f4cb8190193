-- steps: 10-11
-- means: a line of a transcript belongs to no call: no page shows it, and it is not deleted with its customer
-- fix: restore the missing call from a backup; or run the statement in the row, which does what deleting the call would have done

-- The join is that of transcripts_in_call.sql, so that one scan does both.
-- check: transcripts-orphans: the call of every line of a transcript exists
SELECT t.id AS transcript, t.call_id, format('DELETE FROM %s WHERE id = %L;', t.tableoid::regclass, t.id) AS statement
FROM chatapp.call_transcripts AS t
LEFT JOIN (
  SELECT c.id, CASE WHEN c.answered_at IS NULL THEN '-infinity'
               ELSE COALESCE(date_part('epoch', c.ended_at - c.answered_at) * 1000 + 1000, 'infinity') END AS lasts
  FROM chatapp.calls AS c
) AS spoken ON spoken.id = t.call_id
WHERE t.call_id IS NOT NULL AND spoken.id IS NULL;
