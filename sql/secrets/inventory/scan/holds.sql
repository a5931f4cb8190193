-- Whether a text may hold an envelope. It has the member authTag in it; or it is hex or base64 in which the member "encrypted" is.
-- Of that the first half or the second is looked for, since a line break may be between them. In base64 it may begin at any of three
-- places in a group. strpos() is faster than LIKE, and than a regular expression.
strpos({text}, 'authTag') > 0
OR (octet_length({text}) >= 120 AND (
  -- hex
  strpos({text}, '656e63727') > 0 OR strpos({text}, '656E63727') > 0 OR strpos({text}, '970746564') > 0
  -- base64
  OR strpos({text}, 'ZW5jcn') > 0 OR strpos({text}, 'lwdGVk') > 0
  OR strpos({text}, 'VuY3J5') > 0 OR strpos({text}, '5cHRlZ') > 0
  OR strpos({text}, 'lbmNye') > 0 OR strpos({text}, 'eXB0ZW') > 0))
