-- Where to cut a table into ranges of the given number of rows: the last key of each; and how many rows there are. %(rows)s
SELECT (SELECT count(*) FROM {relation} AS t WHERE {condition}),
       ARRAY(SELECT n.key FROM (SELECT {key}::text AS key, row_number() OVER (ORDER BY {key}) AS ordinal
                                FROM {relation} AS t WHERE {condition}) AS n
             WHERE n.ordinal %% %(rows)s = 0 ORDER BY n.ordinal)
