-- parameters: none

-- What autovacuum would do in a while.
ANALYZE chatapp.call_transcripts
