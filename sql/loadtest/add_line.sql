-- from: L2040-2050
-- who: the application
-- parameters: call, role, content, start_time, end_time, confidence

-- A line of the transcript, as the provider delivers it.
INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration, confidence)
VALUES ($1::uuid, $2, $3, $4::integer, $5::integer, $5::integer - $4::integer, $6::numeric)
