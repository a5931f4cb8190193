-- The rows of these pages, where only single places are found without reading the whole table: every place that a page may have.
t.ctid = ANY (ARRAY(
  SELECT format('(%s,%s)', page, place)::tid
  FROM generate_series({first}, {past} - 1) AS page,
    generate_series(1, (current_setting('block_size')::integer - 24) / 28) AS place))
