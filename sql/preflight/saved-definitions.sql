-- finding: saved-definitions
-- steps: 1, 5-6
-- direction: down
-- begun: skip
-- ok: the definition of each column that going down makes again, or gives its type back, is in callctl.definition
-- why: going down makes the type columns again, and gives avatar_url its old type, by what callctl wrote down before it changed
--      them; where that is gone it would stop part-way, or say that it is done and leave the column as it is
-- do: restore schema callctl from a backup taken before the definition was lost: nothing else has it

-- Where step 1 was done without callctl and adopted, there may be none of it: the column stays as it is.
-- needs: callctl.definition
SELECT
    'blocks' AS level,
    format('callctl.definition has lost the %s of %I, by which going down from step %s %s', t.kind, t.relation, t.step, t.use) AS what,
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
