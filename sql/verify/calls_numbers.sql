-- steps: 10
-- means: the application does not recognise the caller, and cannot call back
-- fix: no command of callctl: UPDATE the call's numbers to E.164 (+ and up to 15 digits)

-- The numbers themselves are personal data, and are not shown. A plus sign, and 2 to 15 digits of which the first is not 0.
-- Comparisons of bytes do this; a regular expression takes ten times as long. '+:' follows every text that begins with '+9'.
-- check: calls-e164: telephone numbers of calls are in E.164 form
SELECT c.id AS call, c.source FROM chatapp.calls AS c
WHERE c.from_number COLLATE "C" NOT BETWEEN '+1' AND '+:' OR octet_length(c.from_number) NOT BETWEEN 3 AND 16
   OR btrim(textsend(c.from_number), '0123456789') <> '+'
   OR c.to_number COLLATE "C" NOT BETWEEN '+1' AND '+:' OR octet_length(c.to_number) NOT BETWEEN 3 AND 16
   OR btrim(textsend(c.to_number), '0123456789') <> '+';
