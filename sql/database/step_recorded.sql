-- How the end of a step is stored: its history row, NULL where there is none, and whether a checkpoint is left. %(id)s, %(step)s
SELECT h.step, h.direction, h.file, h.sha256, h.started_at, h.adopted,
       EXISTS (SELECT FROM callctl.checkpoint AS c WHERE c.step = %(step)s) AS checkpoint_left
FROM (SELECT 1) AS one LEFT JOIN callctl.history AS h ON h.id = %(id)s
