-- The steps that callctl has begun in this direction and not finished.
SELECT DISTINCT k.step FROM callctl.checkpoint AS k WHERE k.direction = %(direction)s;
