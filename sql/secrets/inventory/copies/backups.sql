-- The backups that callctl has taken of this database: how many, the oldest and the newest. Their files may be gone.
SELECT count(*) AS backups, min((detail ->> 'taken_at')::timestamp with time zone) AS oldest,
       max((detail ->> 'taken_at')::timestamp with time zone) AS newest
FROM callctl.action WHERE command = 'backup' AND detail ? 'taken_at'
