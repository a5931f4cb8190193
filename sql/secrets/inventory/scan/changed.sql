-- The rows that the transaction of that number wrote, or a later one; and a few more, whose writers are so old that their numbers are
-- in use again.
age(t.xmin) <= age({horizon}::xid)
