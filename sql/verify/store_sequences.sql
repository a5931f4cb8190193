-- fast: yes
-- means: the next row gets a number that is taken, and is refused: deleting a company or writing a type fails, or a run stops
-- mends: run the statement beside it

-- check: store-sequences: each sequence of callctl's own tables that this role may read is above the numbers that are there
SELECT b.sequence, b.relation AS table, b.next, b.highest, b.statement FROM callctl.sequences_behind() AS b;
