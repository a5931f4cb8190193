-- Drop callctl's own schema with everything in it.
DROP SCHEMA IF EXISTS callctl CASCADE
