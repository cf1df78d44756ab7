-- What was decided: events of each node in the order of their sequences (the revision of their change, shifted by 8 bits, and
-- their place in it). The mark is a keyed hash of the number that an event is about, and stands in the event as well.
CREATE TABLE audit_events (
    node bigint NOT NULL,
    sequence bigint NOT NULL,
    mark bytea,
    event bytea NOT NULL,
    PRIMARY KEY (node, sequence)
);
CREATE INDEX audit_events_mark ON audit_events (mark, node, sequence) WHERE mark IS NOT NULL;

-- What vouches for them: a MAC over each segment of a node's events and the checkpoint before it.
CREATE TABLE audit_checkpoints (
    node bigint NOT NULL,
    segment bigint NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL,
    events bigint NOT NULL,
    sealed_at bigint NOT NULL,
    key_id text NOT NULL,
    previous bytea NOT NULL,
    tag bytea NOT NULL,
    PRIMARY KEY (node, segment)
);

-- When an account got its number, and when its owner was last seen, as far as no session tells.
ALTER TABLE accounts ADD COLUMN mobile_since bigint;
ALTER TABLE accounts ADD COLUMN seen_at bigint;
