-- finding: saved-definitions
-- steps: 1, 5-6
-- direction: down
-- begun: skip
-- ok: callctl.definition has the definition of each column that migrate down makes again, or whose type it restores
-- why: migrate down restores the type columns and the old type of avatar_url from definitions that callctl recorded;
--      without a definition it would stop part-way, or leave the column as it is
-- do: restore schema callctl from a backup taken before the definition was lost: no other copy exists

-- If step 1 was done without callctl and adopted, there may be no definition: the column stays as it is.
-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('callctl.definition has lost the %s of %I, by which migrate down from step %s %s', t.kind, t.relation, t.step, t.use) AS what,
    format('%s of %I', t.kind, t.relation) AS object,
    ARRAY[t.step] AS steps
FROM (VALUES
    (1, 'users', 'column type', 'gives the column its old type back'),
    (5, 'chatbot_packages', 'column', 'makes the column again'),
    (5, 'chatbot_packages', 'default', 'gives the column its own default'),
    (6, 'chatbots', 'column', 'makes the column again'),
    (6, 'chatbots', 'default', 'gives the column its own default')
) AS t(step, relation, kind, use)
WHERE NOT EXISTS (SELECT FROM callctl.definition AS d WHERE d.step = t.step AND d.kind = t.kind)
  AND (t.step = 1 AND (SELECT h.adopted FROM callctl.history AS h WHERE h.step = 1 ORDER BY h.id DESC LIMIT 1)) IS NOT TRUE;
