-- Step 9, after: what was written down of the foreign keys is not needed any more.

DELETE FROM callctl.definition WHERE step = 9 AND kind = 'foreign key';
