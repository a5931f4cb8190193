-- Step 10, after: what was written down of the foreign keys is not needed any more.

DELETE FROM callctl.definition WHERE step = 10 AND kind = 'foreign key';
