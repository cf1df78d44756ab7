-- Messages, from before they leave until they are forgotten.
CREATE TABLE messages (
    mobile text NOT NULL,
    -- The first six bytes are the time, in milliseconds, big-endian.
    id bytea NOT NULL,
    revision bigint NOT NULL,
    client text NOT NULL,
    -- 1 bind
    purpose smallint NOT NULL,
    -- 1 zh, 2 en, 3 cht, 4 spa
    language smallint NOT NULL,
    -- 1 queued, 2 handed over, 3 unknown, 4 accepted, 5 failed, 6 delivered
    state smallint NOT NULL,
    error text NOT NULL,
    -- The code, for as long as it may have to be sent, and the id of the key that it was sealed with.
    sealed_key text,
    sealed bytea,
    -- The providers that were asked: [name, reference, outcome, when] each; outcome: 1 accepted, 2 delivered, 3 undelivered,
    -- 4 refused, 5 limited, 6 unavailable, 7 unknown.
    attempts jsonb NOT NULL,
    queued_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    -- When whichever node comes first looks at it; until then it is in one node's hands.
    due_at bigint,
    keep_until bigint NOT NULL,
    PRIMARY KEY (mobile, id)
);
CREATE INDEX messages_due_at ON messages (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_keep_until ON messages (keep_until);

-- What providers call a message.
CREATE TABLE message_references (
    provider text NOT NULL,
    reference text NOT NULL,
    mobile text NOT NULL,
    message_id bytea NOT NULL,
    keep_until bigint NOT NULL,
    PRIMARY KEY (provider, reference)
);
CREATE INDEX message_references_keep_until ON message_references (keep_until);
