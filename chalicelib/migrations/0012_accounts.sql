-- What somebody says of themselves; where they say nothing, their first member speaks for them.
ALTER TABLE accounts
    ADD COLUMN name VARCHAR(64) NOT NULL DEFAULT '' AFTER password_hash,
    ADD COLUMN gender TINYINT NOT NULL DEFAULT 0 AFTER name,
    ADD COLUMN birthday DATE NULL AFTER gender;

-- The code that was last sent to a phone, for each thing it is good for. Only a keyed hash is kept.
CREATE TABLE codes (
    tenant_id   BIGINT NOT NULL,
    phone       CHAR(11) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    purpose     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    code_hash   BINARY(32) NOT NULL,
    tries       INT NOT NULL DEFAULT 0,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, phone, purpose),
    KEY expired (expires_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Each time that somebody was promised a code: what the limits on sending are counted from.
CREATE TABLE code_requests (
    request_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    phone       CHAR(11) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    address     VARBINARY(64) NOT NULL,
    asked_at    BIGINT NOT NULL,
    KEY phone (tenant_id, phone, asked_at),
    KEY address (tenant_id, address, asked_at),
    KEY old (asked_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Somebody's own uploads, the newest first: which is their avatar.
ALTER TABLE files ADD KEY uploader (tenant_id, uploader, place, file_id);
