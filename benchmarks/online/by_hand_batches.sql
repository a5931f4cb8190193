-- What both plans by hand begin with.

-- Runs a statement on 5,000 rows after the other, by the key, and commits after each. $1 and $2 are the ends of the range.
CREATE PROCEDURE chatapp.in_batches(relation regclass, statement text) LANGUAGE plpgsql AS $$
DECLARE
  after uuid := '00000000-0000-0000-0000-000000000000';
  upto uuid;
BEGIN
  LOOP
    EXECUTE format('SELECT id FROM (SELECT id FROM %s WHERE id > $1 ORDER BY id LIMIT 5000) AS page ORDER BY id DESC LIMIT 1', relation)
      INTO upto USING after;
    EXIT WHEN upto IS NULL;
    EXECUTE statement USING after, upto;
    COMMIT;
    after := upto;
  END LOOP;
END
$$;
