-- What a dump's reader could stumble over: names, values that look like its own lines, and the kinds of relations.

CREATE SCHEMA "Odd ""schema""";
CREATE TYPE public.mood AS ENUM ('good', 'bad');
CREATE TABLE "Odd ""schema"""."a table"
  (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a ""column""" text, feels public.mood, raw bytea,
   doubled bigint GENERATED ALWAYS AS (length(raw) * 2) STORED);
INSERT INTO "Odd ""schema"""."a table" ("a ""column""", feels, raw) VALUES
  (E'\\.', 'good', '\x00'), (E'two\nlines\tand \\ more', 'bad', NULL), (NULL, NULL, '\xff'), ('', 'bad', ''),
  (E'COPY x FROM stdin;\n\\.\n--\n-- Name: x; Type: TABLE; Schema: y; Owner: z\n--\n', NULL, NULL);
CREATE TABLE public.parted (day date, n int) PARTITION BY RANGE (day);
CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO public.parted VALUES ('2026-05-05', 1);
CREATE TABLE public.parent (n int); CREATE TABLE public.child () INHERITS (public.parent);
INSERT INTO public.parent VALUES (1); INSERT INTO public.child VALUES (2), (3);
CREATE MATERIALIZED VIEW public.counted AS SELECT count(*) AS n FROM public.parent;
CREATE TABLE public.nothing ();
CREATE FUNCTION public.speaks() RETURNS text LANGUAGE sql AS $$ SELECT
'
--
-- Name: speaks; Type: FUNCTION; Schema: public; Owner: -
--
COPY public.parent (n) FROM stdin;
BEGIN;
\restrict that
SET transaction_timeout = 0;
' $$;
SELECT lo_from_bytea(0, convert_to(repeat('a large object', 20000), 'UTF8'));
CREATE PUBLICATION told FOR TABLE public.parent;
