-- fast: yes
-- means: nothing is lost; but until it is known whether their rows of the platform are gone, migrate down has nothing to put back
-- mends: callctl migrate up, with no step pending, too: it brings back what belongs to a row that is there

-- check: removed-rows-settled: no row of callctl's own tables is set aside
SELECT r.relation, r.part, r.removed_at FROM callctl.removed_row AS r ORDER BY r.id;
