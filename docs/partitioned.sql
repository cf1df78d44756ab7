-- The schema as it must be where tables are partitioned by hash, or their parts are on several servers. A unique index there
-- must hold the partition key, so each thing that is unique becomes a row of its own table, partitioned by that thing itself:
-- a number, an openid, a unionid, a member code, an account's log-in on one client type. All else is as in the migrations.
-- Eight parts each, here; a part of a server of its own is a foreign table, or a shard.

CREATE TABLE accounts (
    id bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 9999999999),
    revision bigint NOT NULL,
    member_code text,
    status smallint NOT NULL,
    mobile text,
    nickname text NOT NULL,
    avatar text NOT NULL,
    gender smallint NOT NULL,
    province text NOT NULL,
    city text NOT NULL,
    county text NOT NULL,
    shop jsonb,
    referrer bigint,
    added_at bigint NOT NULL,
    updated_at bigint,
    deleted_at bigint,
    closed_at bigint,
    mobile_since bigint,
    seen_at bigint
) PARTITION BY HASH (id);

-- In place of the unique indexes accounts_mobile and accounts_member_code: who is live has a row here, in the same transaction.
CREATE TABLE numbers (mobile text PRIMARY KEY, account_id bigint NOT NULL) PARTITION BY HASH (mobile);
CREATE TABLE member_codes (member_code text PRIMARY KEY, account_id bigint NOT NULL) PARTITION BY HASH (member_code);

-- What an account is on each platform, beside the account; identities_openid and identities_unionid move out.
CREATE TABLE identities (
    account_id bigint NOT NULL,
    platform smallint NOT NULL,
    app_id text NOT NULL,
    openid text,
    unionid text,
    PRIMARY KEY (account_id, platform)
) PARTITION BY HASH (account_id);
CREATE TABLE openids (
    platform smallint NOT NULL,
    app_id text NOT NULL,
    openid text NOT NULL,
    account_id bigint NOT NULL,
    PRIMARY KEY (openid, platform, app_id)
) PARTITION BY HASH (openid);
CREATE TABLE unionids (
    platform smallint NOT NULL,
    unionid text NOT NULL,
    account_id bigint NOT NULL,
    PRIMARY KEY (unionid, platform)
) PARTITION BY HASH (unionid);

-- A token names its session by id; sessions_of_account moves out.
CREATE TABLE sessions (
    id bytea PRIMARY KEY,
    account_id bigint NOT NULL,
    client_type smallint NOT NULL,
    seed bytea NOT NULL,
    key_id text NOT NULL,
    issued_at bigint NOT NULL,
    used_at bigint NOT NULL
) PARTITION BY HASH (id);
CREATE INDEX sessions_used_at ON sessions (used_at);
CREATE TABLE log_ins (
    account_id bigint NOT NULL,
    client_type smallint NOT NULL,
    session_id bytea NOT NULL,
    PRIMARY KEY (account_id, client_type)
) PARTITION BY HASH (account_id);

-- What these are looked up by stands first in their primary keys: they are partitioned as they are.
CREATE TABLE challenges (
    mobile text NOT NULL,
    client text NOT NULL,
    revision bigint NOT NULL,
    key_id text NOT NULL,
    tag bytea NOT NULL,
    sent_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    failures smallint NOT NULL,
    PRIMARY KEY (mobile, client)
) PARTITION BY HASH (mobile);
CREATE INDEX challenges_expires_at ON challenges (expires_at);
CREATE TABLE receipts (
    mobile text NOT NULL,
    client text NOT NULL,
    fingerprint bytea NOT NULL,
    expires_at bigint NOT NULL,
    account_id bigint NOT NULL,
    session_id bytea,
    PRIMARY KEY (mobile, client)
) PARTITION BY HASH (mobile);
CREATE INDEX receipts_expires_at ON receipts (expires_at);
CREATE TABLE meters (
    subject text NOT NULL,
    window_ms bigint NOT NULL,
    slots bigint[] NOT NULL,
    counts bigint[] NOT NULL,
    ends_at bigint NOT NULL,
    PRIMARY KEY (subject, window_ms)
) PARTITION BY HASH (subject);
CREATE INDEX meters_ends_at ON meters (ends_at);
CREATE TABLE proofs (
    id bytea PRIMARY KEY,
    unionid text,
    session_key bytea,
    proved_at bigint NOT NULL,
    expires_at bigint NOT NULL
) PARTITION BY HASH (id);
CREATE INDEX proofs_expires_at ON proofs (expires_at);
CREATE TABLE spent (mark bytea PRIMARY KEY, until bigint NOT NULL) PARTITION BY HASH (mark);
CREATE INDEX spent_until ON spent (until);
CREATE TABLE idempotency_keys (
    name bytea PRIMARY KEY,
    revision bigint NOT NULL,
    fingerprint bytea NOT NULL,
    decided_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    outcome smallint NOT NULL,
    account_id bigint,
    session_id bytea,
    refusal smallint
) PARTITION BY HASH (name);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
CREATE TABLE messages (
    mobile text NOT NULL,
    id bytea NOT NULL,
    revision bigint NOT NULL,
    client text NOT NULL,
    purpose smallint NOT NULL,
    language smallint NOT NULL,
    state smallint NOT NULL,
    error text NOT NULL,
    sealed_key text,
    sealed bytea,
    attempts jsonb NOT NULL,
    queued_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    due_at bigint,
    keep_until bigint NOT NULL,
    PRIMARY KEY (mobile, id)
) PARTITION BY HASH (mobile);
CREATE INDEX messages_due_at ON messages (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_keep_until ON messages (keep_until);
CREATE TABLE message_references (
    provider text NOT NULL,
    reference text NOT NULL,
    mobile text NOT NULL,
    message_id bytea NOT NULL,
    keep_until bigint NOT NULL,
    PRIMARY KEY (provider, reference)
) PARTITION BY HASH (reference);
CREATE INDEX message_references_keep_until ON message_references (keep_until);

-- A node writes its events one after another, and they are read so: a part holds whole nodes.
CREATE TABLE audit_events (
    node bigint NOT NULL,
    sequence bigint NOT NULL,
    mark bytea,
    event bytea NOT NULL,
    PRIMARY KEY (node, sequence)
) PARTITION BY HASH (node);
CREATE INDEX audit_events_mark ON audit_events (mark, node, sequence) WHERE mark IS NOT NULL;
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
) PARTITION BY HASH (node);

DO $$
DECLARE
    parted text;
BEGIN
    FOREACH parted IN ARRAY ARRAY['accounts', 'numbers', 'member_codes', 'identities', 'openids', 'unionids', 'sessions',
        'log_ins', 'challenges', 'receipts', 'meters', 'proofs', 'spent', 'idempotency_keys', 'messages',
        'message_references', 'audit_events', 'audit_checkpoints']
    LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                parted || '_' || part, parted, part);
        END LOOP;
    END LOOP;
END
$$;
