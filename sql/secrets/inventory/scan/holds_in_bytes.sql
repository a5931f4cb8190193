-- The same of bytes, which PostgreSQL shows in hex: they are UTF-8, or hex or base64 of it.
octet_length({text}) >= 120 AND (
  strpos({text}, '656e63727') > 0 OR strpos({text}, '970746564') > 0
  -- hex
  OR strpos({text}, '363536653633373237') > 0 OR strpos({text}, '363536453633373237') > 0
  OR strpos({text}, '393730373436353634') > 0
  -- base64
  OR strpos({text}, '5a57356a636e') > 0 OR strpos({text}, '6c776447566b') > 0
  OR strpos({text}, '567559334a35') > 0 OR strpos({text}, '356348526c5a') > 0
  OR strpos({text}, '6c626d4e7965') > 0 OR strpos({text}, '655842305a57') > 0)
