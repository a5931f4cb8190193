-- What of the server and the database a restore will be compared with, and the moment: the rows seen are those of this snapshot.
SELECT current_setting('server_version'), current_setting('server_version_num')::integer, d.datname,
       pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_is_in_recovery(), clock_timestamp()
FROM pg_catalog.pg_database AS d
WHERE d.datname = current_database()
