-- steps: 10
-- means: the caller is not recognised, and can't be called back
-- mends: no command of callctl: UPDATE the call's numbers to E.164 (+ and up to 15 digits)

-- The numbers themselves are personal data, and are not shown. A plus sign, and 2 to 15 digits of which the first is not 0:
-- said without a regular expression, which takes ten times as long.
-- check: calls-e164: telephone numbers of calls are in E.164 form
SELECT c.id AS call, c.source FROM chatapp.calls AS c
WHERE rtrim(c.from_number, '0123456789') <> '+' OR c.from_number LIKE '+0%' OR length(c.from_number) NOT BETWEEN 3 AND 16
   OR rtrim(c.to_number, '0123456789') <> '+' OR c.to_number LIKE '+0%' OR length(c.to_number) NOT BETWEEN 3 AND 16;
