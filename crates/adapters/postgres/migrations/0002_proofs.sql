-- That a platform vouched for an openid to an installation; the id is SHA-256 over both.
CREATE TABLE proofs (
    id bytea PRIMARY KEY,
    unionid text,
    -- Sealed: nothing in the database opens it.
    session_key bytea,
    proved_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX proofs_expires_at ON proofs (expires_at);

-- What counted once, and shall not again: tickets, log-in codes, numbers that a platform vouched for.
CREATE TABLE spent (
    mark bytea PRIMARY KEY,
    until bigint NOT NULL
);
CREATE INDEX spent_until ON spent (until);
