-- When a rotation of this database last ended.
SELECT max(finished_at) FROM callctl.rotation WHERE kind = 'credentials' AND outcome = 'done'
