-- finding: avatar-too-long
-- steps: 1
-- direction: down
-- ok: every avatar_url fits the length it had before
-- why: the old type cannot hold a longer URL, so migrate down either stops or shortens it
-- do: shorten these URLs, or add --truncate-avatars, which saves the full ones first; migrate down
--      --to 1 leaves the column as it is

-- needs: chatapp.users.avatar_url, callctl.definition
SELECT
    'blocks' AS level,
    format('users whose avatar_url is longer than %s characters: %s (the longest has %s)', q.most, q.amount, q.longest) AS what,
    q.ids AS object
FROM (
    SELECT
        max((SELECT callctl.remembered_length(1))) AS most, count(*) AS amount, max(length(x.avatar_url)) AS longest,
        (array_agg(x.id::text ORDER BY x.id))[1:20] AS ids
    FROM chatapp.users AS x
    -- In parentheses of its own, so that it is asked once and not for each row.
    WHERE length(x.avatar_url) > (SELECT callctl.remembered_length(1))
    HAVING count(*) > 0
) AS q;
