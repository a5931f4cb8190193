-- The server and the database of a target: major version, encoding, collation, and the role of this session.
SELECT current_setting('server_version_num')::integer / 10000 AS major, pg_encoding_to_char(d.encoding) AS encoding,
       d.datcollate::text AS collation, session_user::text AS role
FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()
