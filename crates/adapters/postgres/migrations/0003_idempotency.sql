-- What became of requests with an idempotency key; the name is a keyed digest of operation, client and key.
CREATE TABLE idempotency_keys (
    name bytea PRIMARY KEY,
    revision bigint NOT NULL,
    fingerprint bytea NOT NULL,
    decided_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    -- 0 its message is being handed over, 1 sent, 2 bound, 3 refused
    outcome smallint NOT NULL,
    -- of one that bound: the account, and the session where one was opened
    account_id bigint,
    session_id bytea,
    -- of one that was refused: the refusal's number
    refusal smallint
);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
