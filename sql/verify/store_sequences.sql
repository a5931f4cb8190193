-- fast: yes
-- means: the next row gets a number that exists already, and is refused: deleting a company or writing a type fails, or a run stops
-- fix: run the statement in the row

-- check: store-sequences: each sequence of callctl's own tables that this role may read is above the existing numbers
SELECT b.sequence, b.relation AS table, b.next, b.highest, b.statement FROM callctl.sequences_behind() AS b;
