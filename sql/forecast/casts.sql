-- Between which types a value stays as it is, byte by byte: to change a column from one to the other rewrites no row.
SELECT castsource::bigint AS source, casttarget::bigint AS target FROM pg_cast WHERE castmethod = 'b'
