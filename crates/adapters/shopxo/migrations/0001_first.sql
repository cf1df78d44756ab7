-- mobile-bind's own tables beside the shop's. Texts and keys are bytes, so that they compare exactly, whatever the shop's
-- collation. Points in time are milliseconds since the Unix epoch. Every statement may be run again: where a step was broken
-- off, it is begun anew.

-- What the shop has no column for, of an account that mobile-bind has written, and a fingerprint of the shop's columns as they
-- were then. Where they have another one now, the shop has changed the account since, and the revision is none of ours.
CREATE TABLE IF NOT EXISTS mb_accounts (
    user_id int unsigned NOT NULL PRIMARY KEY,
    revision bigint unsigned NOT NULL,
    fingerprint bigint unsigned NOT NULL,
    -- The number that mobile_since is about: the shop may have put another in its place.
    mobile varbinary(120) NOT NULL,
    mobile_since bigint unsigned NULL,
    seen_at bigint unsigned NULL,
    -- The app that each openid is of, where mobile-bind has written it: platform, zero, app, zero.
    apps varbinary(2000) NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- What belongs to one live account alone: 1 number, 2 openid (with platform and app), 3 unionid (with platform), 4 member code.
CREATE TABLE IF NOT EXISTS mb_claims (
    kind tinyint unsigned NOT NULL,
    value varbinary(600) NOT NULL,
    user_id int unsigned NOT NULL,
    PRIMARY KEY (kind, value),
    KEY mb_claims_user_id (user_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- Sessions that were opened or used here; one is there exactly while the shop's row has its token.
CREATE TABLE IF NOT EXISTS mb_sessions (
    id binary(16) NOT NULL PRIMARY KEY,
    seed binary(16) NOT NULL,
    key_id varbinary(32) NOT NULL,
    user_id int unsigned NOT NULL,
    issued_at bigint unsigned NOT NULL,
    used_at bigint unsigned NOT NULL,
    KEY mb_sessions_used_at (used_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- Codes that were sent, as keyed MACs.
CREATE TABLE IF NOT EXISTS mb_challenges (
    mobile varbinary(120) NOT NULL,
    client varbinary(530) NOT NULL,
    revision bigint unsigned NOT NULL,
    key_id varbinary(32) NOT NULL,
    tag binary(32) NOT NULL,
    sent_at bigint unsigned NOT NULL,
    expires_at bigint unsigned NOT NULL,
    failures tinyint unsigned NOT NULL,
    PRIMARY KEY (mobile, client),
    KEY mb_challenges_expires_at (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- What the last bind of a number by a client answered.
CREATE TABLE IF NOT EXISTS mb_receipts (
    mobile varbinary(120) NOT NULL,
    client varbinary(530) NOT NULL,
    fingerprint binary(32) NOT NULL,
    expires_at bigint unsigned NOT NULL,
    user_id bigint unsigned NOT NULL,
    session_id binary(16) NULL,
    PRIMARY KEY (mobile, client),
    KEY mb_receipts_expires_at (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- Events counted against quotas, of one subject: a JSON array of [window in ms, [[when, how many], ...]].
CREATE TABLE IF NOT EXISTS mb_tallies (
    subject varbinary(600) NOT NULL PRIMARY KEY,
    meters mediumblob NOT NULL,
    ends_at bigint unsigned NOT NULL,
    KEY mb_tallies_ends_at (ends_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- What became of requests with an idempotency key; the name is a keyed digest of operation, client and key.
CREATE TABLE IF NOT EXISTS mb_idempotency_keys (
    name binary(32) NOT NULL PRIMARY KEY,
    revision bigint unsigned NOT NULL,
    fingerprint binary(32) NOT NULL,
    decided_at bigint unsigned NOT NULL,
    expires_at bigint unsigned NOT NULL,
    -- 0 its message is being handed over, 1 sent, 2 bound, 3 refused
    outcome tinyint unsigned NOT NULL,
    -- of one that bound: the account, and the session where one was opened
    user_id bigint unsigned NULL,
    session_id binary(16) NULL,
    -- of one that was refused: the refusal's number
    refusal tinyint unsigned NULL,
    KEY mb_idempotency_keys_expires_at (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- That a platform vouched for an openid to an installation; the id is SHA-256 over both.
CREATE TABLE IF NOT EXISTS mb_proofs (
    id binary(32) NOT NULL PRIMARY KEY,
    unionid varbinary(240) NULL,
    -- Sealed: nothing in the database opens it.
    session_key varbinary(255) NULL,
    proved_at bigint unsigned NOT NULL,
    expires_at bigint unsigned NOT NULL,
    KEY mb_proofs_expires_at (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- What counted once, and shall not again: tickets, log-in codes, numbers that a platform vouched for.
CREATE TABLE IF NOT EXISTS mb_spent (
    mark binary(32) NOT NULL PRIMARY KEY,
    until bigint unsigned NOT NULL,
    KEY mb_spent_until (until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- Messages, from before they leave until they are forgotten.
CREATE TABLE IF NOT EXISTS mb_messages (
    mobile varbinary(120) NOT NULL,
    -- The first six bytes are the time, in milliseconds, big-endian.
    id binary(16) NOT NULL,
    revision bigint unsigned NOT NULL,
    client varbinary(530) NOT NULL,
    -- 1 bind
    purpose tinyint unsigned NOT NULL,
    -- 1 zh, 2 en, 3 cht, 4 spa
    language tinyint unsigned NOT NULL,
    -- 1 queued, 2 handed over, 3 unknown, 4 accepted, 5 failed, 6 delivered
    state tinyint unsigned NOT NULL,
    error blob NOT NULL,
    -- The code, for as long as it may have to be sent, and the id of the key that it was sealed with.
    sealed_key varbinary(32) NULL,
    sealed blob NULL,
    -- The providers that were asked, a JSON array of [name, reference, outcome, when]; outcome: 1 accepted, 2 delivered,
    -- 3 undelivered, 4 refused, 5 limited, 6 unavailable, 7 unknown.
    attempts mediumblob NOT NULL,
    queued_at bigint unsigned NOT NULL,
    changed_at bigint unsigned NOT NULL,
    expires_at bigint unsigned NOT NULL,
    -- When whichever node comes first looks at it; until then it is in one node's hands.
    due_at bigint unsigned NULL,
    keep_until bigint unsigned NOT NULL,
    PRIMARY KEY (mobile, id),
    KEY mb_messages_due_at (due_at),
    KEY mb_messages_keep_until (keep_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- What providers call a message.
CREATE TABLE IF NOT EXISTS mb_message_references (
    provider varbinary(255) NOT NULL,
    reference varbinary(512) NOT NULL,
    mobile varbinary(120) NOT NULL,
    message_id binary(16) NOT NULL,
    keep_until bigint unsigned NOT NULL,
    PRIMARY KEY (provider, reference),
    KEY mb_message_references_keep_until (keep_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- What was decided: events of each node in the order of their sequences (the revision of their change, shifted by 8 bits, and
-- their place in it). The mark is a keyed hash of the number that an event is about, and stands in the event as well.
CREATE TABLE IF NOT EXISTS mb_audit_events (
    node int unsigned NOT NULL,
    sequence bigint unsigned NOT NULL,
    mark binary(8) NULL,
    event mediumblob NOT NULL,
    PRIMARY KEY (node, sequence),
    KEY mb_audit_events_mark (mark, node, sequence)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- What vouches for them: a MAC over each segment of a node's events and the checkpoint before it.
CREATE TABLE IF NOT EXISTS mb_audit_checkpoints (
    node int unsigned NOT NULL,
    segment bigint unsigned NOT NULL,
    first_sequence bigint unsigned NOT NULL,
    last_sequence bigint unsigned NOT NULL,
    events int unsigned NOT NULL,
    sealed_at bigint unsigned NOT NULL,
    key_id varbinary(32) NOT NULL,
    previous binary(32) NOT NULL,
    tag binary(32) NOT NULL,
    PRIMARY KEY (node, segment)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;

-- The last number of each kind that a node was given, with all before it.
CREATE TABLE IF NOT EXISTS mb_counters (
    name varchar(32) NOT NULL PRIMARY KEY,
    value bigint unsigned NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;
INSERT IGNORE INTO mb_counters (name, value) VALUES ('revision', 0), ('node', 0);

-- Who does what only one node shall do, and until when unless it goes on, by the database's clock.
CREATE TABLE IF NOT EXISTS mb_leases (
    name varchar(32) NOT NULL PRIMARY KEY,
    node bigint unsigned NOT NULL,
    ends_at datetime(6) NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;
INSERT IGNORE INTO mb_leases (name, node, ends_at) VALUES ('purge', 0, '1970-01-02 00:00:00');

-- The server's keys, which all nodes share: a JSON array for each purpose, newest first.
CREATE TABLE IF NOT EXISTS mb_server_keys (
    purpose varchar(64) NOT NULL PRIMARY KEY,
    content mediumblob NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4;
