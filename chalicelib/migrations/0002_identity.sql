-- Only hashes are kept: whoever reads these tables can sign nobody in.
CREATE TABLE tokens (
    token_hash  BINARY(32) PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    principal   VARBINARY(160) NOT NULL,  -- user:12 or session:abc
    kind        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    platform    INT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    revoked_at  BIGINT NULL,
    KEY owner (tenant_id, principal)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- The keys of a hospital's own systems: two may live at once, so that they can be rotated.
CREATE TABLE internal_keys (
    key_hash    BINARY(32) PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT NULL,
    KEY tenant (tenant_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Tries of a password or code, counted where a flushed cache gives none back.
CREATE TABLE attempts (
    tenant_id  BIGINT NOT NULL,
    subject    VARBINARY(255) NOT NULL,  -- what is tried and by whom: purpose, phone, address
    failures   INT NOT NULL,
    since      BIGINT NOT NULL,  -- the last of them
    PRIMARY KEY (tenant_id, subject)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
