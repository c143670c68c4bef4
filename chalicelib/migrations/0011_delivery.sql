-- What must happen after the answer: one row in the transaction that caused it (outbox/outbox.py).
CREATE TABLE outbox (
    outbox_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    job         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    once        VARBINARY(128) NULL,  -- names what happens once, however often it is caused
    payload     TEXT NOT NULL,  -- JSON: ids, never what people wrote
    waiting     TINYINT NULL DEFAULT 1,  -- NULL when done or given up
    due_at      BIGINT NOT NULL,  -- while somebody works on it: when that counts as failed
    tries       INT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    done_at     BIGINT NULL,
    parked_at   BIGINT NULL,  -- given up: somebody must look
    UNIQUE KEY once (tenant_id, job, once),
    KEY due (waiting, due_at),
    KEY done (done_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Open WebSockets. One whose end nobody heard of goes when it is found gone, or too old to be open.
CREATE TABLE sockets (
    connection_id  VARBINARY(64) PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    principal      VARBINARY(160) NOT NULL,
    token_hash     BINARY(32) NOT NULL,
    events         TINYINT NOT NULL,  -- 1: also wants what is no message
    opened_at      BIGINT NOT NULL,
    KEY listening (tenant_id, principal),
    KEY old (opened_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
