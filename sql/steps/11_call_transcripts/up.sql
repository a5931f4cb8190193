-- Step 11: the table call_transcripts, as documented (section 7).
-- Where an earlier down archived it, return.sql brings it back instead.

SELECT callctl.assert_not_archived(11, 'call_transcripts');

-- Its foreign keys lock the tables they point at until the transaction ends.
CREATE TABLE IF NOT EXISTS chatapp.call_transcripts (
  -- Identity
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  call_id UUID NOT NULL REFERENCES chatapp.calls(id) ON DELETE CASCADE,

  -- Transcript Content
  role VARCHAR(20) NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
  content TEXT NOT NULL, -- Transcript text

  -- Timing (milliseconds from call start)
  start_time INTEGER NOT NULL, -- Milliseconds from call answered_at
  end_time INTEGER NOT NULL, -- Milliseconds from call answered_at
  duration INTEGER NOT NULL, -- Milliseconds (end_time - start_time)

  -- Audio Reference
  audio_url VARCHAR(500), -- URL to audio segment (optional)

  -- Quality Metrics
  confidence DECIMAL(5,4) CHECK (confidence >= 0.0 AND confidence <= 1.0), -- Transcription confidence 0.0-1.0

  -- Provider Metadata
  metadata JSONB, -- Provider-specific data (language, alternatives, etc.)

  -- Audit
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- Where chatbots or companies has row-level security, the table has it before anyone can read it.
-- callctl: commit
SELECT callctl.protect_new_table('chatapp.call_transcripts'::regclass);

-- Rules that the column specifications state and the document's DDL forgot: L1839, L1856, L1861.
-- callctl: repeatable
SELECT callctl.add_missing_constraint('chatapp.call_transcripts'::regclass,
  'call_transcripts_content_check', 'CHECK (content <> '''')');

-- callctl: repeatable
SELECT callctl.add_missing_constraint('chatapp.call_transcripts'::regclass,
  'call_transcripts_time_check', 'CHECK (end_time > start_time)');

-- callctl: repeatable
SELECT callctl.add_missing_constraint('chatapp.call_transcripts'::regclass,
  'call_transcripts_duration_check', 'CHECK (duration = end_time - start_time)');

CREATE INDEX IF NOT EXISTS idx_call_transcripts_call_id
  ON chatapp.call_transcripts(call_id, start_time ASC);

CREATE INDEX IF NOT EXISTS idx_call_transcripts_role
  ON chatapp.call_transcripts(call_id, role);

CREATE INDEX IF NOT EXISTS idx_call_transcripts_content_search
  ON chatapp.call_transcripts USING GIN(to_tsvector('english', content));
