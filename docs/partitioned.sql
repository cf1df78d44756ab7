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
    closed_at bigint
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

-- Their primary keys hold the number, and the subject: they are partitioned as they are.
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

DO $$
DECLARE
    parted text;
BEGIN
    FOREACH parted IN ARRAY ARRAY['accounts', 'numbers', 'member_codes', 'identities', 'openids', 'unionids', 'sessions',
        'log_ins', 'challenges', 'receipts', 'meters']
    LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                parted || '_' || part, parted, part);
        END LOOP;
    END LOOP;
END
$$;
