-- Whether a rotation of this database has ever finished.
SELECT EXISTS (SELECT FROM callctl.rotation WHERE kind = 'credentials' AND outcome = 'done')
