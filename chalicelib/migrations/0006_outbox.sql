-- Transactional outbox: jobs enqueued in the transaction that causes them and executed after its commit.
-- The index `due` contains the job name, so that each queue finds its rows by reading the index alone.
CREATE TABLE outbox (
    outbox_id         BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id         BIGINT NOT NULL,
    job               VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    dedup_key         VARBINARY(128) NULL,  -- a job is enqueued once for each tenant, job name and key
    payload           TEXT NOT NULL,  -- JSON; contains ids, never message text
    pending           TINYINT NULL DEFAULT 1,  -- 1, or NULL when done or dead-lettered
    due_at            BIGINT NOT NULL,  -- when to run next; while it runs, when the lease ends
    attempts          INT NOT NULL DEFAULT 0,
    created_at        BIGINT NOT NULL,
    done_at           BIGINT NULL,
    dead_lettered_at  BIGINT NULL,  -- all attempts failed; an admin must act
    error             VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- of the last attempt, when dead-lettered: type and codes
    UNIQUE KEY dedup_key (tenant_id, job, dedup_key),
    KEY done (done_at),
    KEY dead_lettered (tenant_id, dead_lettered_at),
    KEY due (pending, due_at, job)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
