-- Points in time are milliseconds since the Unix epoch. Texts are as the service got them, but for U+0000, which PostgreSQL
-- cannot hold: U+10FFFF and 0 stand for it, and U+10FFFF and 1 for U+10FFFF itself.

-- Accounts, live or not. A live one has neither been deleted nor closed, and nobody else may have its number or member code.
CREATE TABLE accounts (
    id bigint PRIMARY KEY CHECK (id BETWEEN 1 AND 9999999999),
    revision bigint NOT NULL,
    member_code text,
    -- 0 normal, 1 muted, 2 disabled, 3 awaiting approval
    status smallint NOT NULL,
    mobile text,
    nickname text NOT NULL,
    avatar text NOT NULL,
    -- 0 undisclosed, 1 female, 2 male
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
);
-- Each says that its column is there, so that only who looks for that is answered by it: a plan made while there was hardly an
-- account might go through all of the other one.
CREATE UNIQUE INDEX accounts_mobile ON accounts (mobile)
    WHERE mobile IS NOT NULL AND deleted_at IS NULL AND closed_at IS NULL;
CREATE UNIQUE INDEX accounts_member_code ON accounts (member_code)
    WHERE member_code IS NOT NULL AND deleted_at IS NULL AND closed_at IS NULL;

-- What an account is on each platform: 1 weixin, 2 alipay, 3 baidu, 4 toutiao, 5 qq, 6 kuaishou. Held while it is live.
CREATE TABLE identities (
    account_id bigint NOT NULL,
    platform smallint NOT NULL,
    app_id text NOT NULL,
    openid text,
    unionid text,
    held boolean NOT NULL,
    PRIMARY KEY (account_id, platform)
);
CREATE UNIQUE INDEX identities_openid ON identities (platform, app_id, openid) WHERE held AND openid IS NOT NULL;
CREATE UNIQUE INDEX identities_unionid ON identities (platform, unionid) WHERE held AND unionid IS NOT NULL;

-- Codes that were sent, as keyed MACs.
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
);
CREATE INDEX challenges_expires_at ON challenges (expires_at);

-- What the last bind of a number by a client answered.
CREATE TABLE receipts (
    mobile text NOT NULL,
    client text NOT NULL,
    fingerprint bytea NOT NULL,
    expires_at bigint NOT NULL,
    account_id bigint NOT NULL,
    session_id bytea,
    PRIMARY KEY (mobile, client)
);
CREATE INDEX receipts_expires_at ON receipts (expires_at);

-- An account has one session on each client type: 1 pc, 2 h5, 3 ios, 4 android, 16 and the platform for a mini-program.
CREATE TABLE sessions (
    id bytea PRIMARY KEY,
    account_id bigint NOT NULL,
    client_type smallint NOT NULL,
    seed bytea NOT NULL,
    key_id text NOT NULL,
    issued_at bigint NOT NULL,
    used_at bigint NOT NULL
);
CREATE UNIQUE INDEX sessions_of_account ON sessions (account_id, client_type);
CREATE INDEX sessions_used_at ON sessions (used_at);

-- Events counted against quotas: when, and how many then, for one length of window.
CREATE TABLE meters (
    subject text NOT NULL,
    window_ms bigint NOT NULL,
    slots bigint[] NOT NULL,
    counts bigint[] NOT NULL,
    ends_at bigint NOT NULL,
    PRIMARY KEY (subject, window_ms)
);
CREATE INDEX meters_ends_at ON meters (ends_at);

-- The last number of each kind that a node was given, with all before it.
CREATE TABLE counters (
    name text PRIMARY KEY,
    value bigint NOT NULL
);
INSERT INTO counters (name, value) VALUES ('account', 0), ('revision', 0), ('node', 0);

-- Who does what only one node shall do, and until when unless it goes on.
CREATE TABLE leases (
    name text PRIMARY KEY,
    node bigint NOT NULL,
    ends_at timestamptz NOT NULL
);

-- The server's keys, which all nodes share: a JSON array for each purpose, newest first.
CREATE TABLE server_keys (
    purpose text PRIMARY KEY,
    content text NOT NULL
);
