-- How far dispatch has published on each partition of the stream: the offset behind its last record. Written with the
-- deletion from the outbox, so that a copy of this database says up to where the stream was its own (ADR 91).
CREATE TABLE stream_positions (
    partition integer PRIMARY KEY,
    published_to bigint NOT NULL CHECK (published_to >= 0)
) WITH (fillfactor = 10);

-- Whether this database and the stream belong together. `compared_in`: the life of the database in which they were last
-- compared, and found to; in any other nothing is decided before they are compared again. `topic_id` is Kafka's own, NULL
-- where the broker has none. While `standstill` is set nothing is decided at all.
CREATE TABLE stream_comparison (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    topic text, -- NULL: never compared
    topic_id text,
    compared_in text,
    compared_at timestamptz,
    standstill text CHECK (standstill IN ('databaseBehind', 'streamBehind', 'streamReplaced', 'recovering')),
    standstill_since timestamptz,
    detail text,
    CHECK ((standstill IS NULL) = (standstill_since IS NULL))
);
INSERT INTO stream_comparison DEFAULT VALUES;

-- `reached`: the offset below which everything of the partition was committed when its mark was set; from there on
-- `recover` reads again after a restore. `topic_id`: Kafka's own, by which a topic that was made anew is known.
ALTER TABLE ingest_marks ADD COLUMN reached bigint, ADD COLUMN topic_id text;

-- Names the life of a database: another after each start of the server, so also after a failover or where a copy of its
-- files was put in its place; in another database; and where the tables were restored in place.
CREATE FUNCTION database_life() RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT format('%s %s %s', extract(epoch FROM pg_postmaster_start_time()), oid,
        pg_relation_filenode('stream_comparison'))
    FROM pg_database WHERE datname = current_database()
$$;
