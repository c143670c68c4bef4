-- Patient files: one for each person and hospital, whoever books or asks for them.
CREATE TABLE patients (
    pati_id        BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    name           VARCHAR(64) NOT NULL,
    gender         TINYINT NOT NULL DEFAULT 0,  -- 0 unknown, 1 male, 2 female, 9 unspecified
    birthday       DATE NULL,
    phone          VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    id_type        VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- 99 身份证
    id_sealed      VARBINARY(255) NULL,  -- the number, as crypto/field_encryption.py keeps it
    id_blind       BINARY(32) NULL,  -- what it is found by
    province       VARCHAR(64) NOT NULL DEFAULT '',
    city           VARCHAR(64) NOT NULL DEFAULT '',
    county         VARCHAR(64) NOT NULL DEFAULT '',
    address        VARCHAR(255) NOT NULL DEFAULT '',
    cont_name      VARCHAR(64) NOT NULL DEFAULT '',
    cont_relation  TINYINT NULL,  -- 1 self, 2 spouse, 3 parent, 4 child, 5 other kin, 9 other
    cont_phone     VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    photo_key      VARBINARY(255) NOT NULL DEFAULT '',
    trea_id        BIGINT NULL,  -- the latest registered visit
    filed_by       BIGINT NULL,  -- the user who made the file
    retry_key      VARBINARY(128) NULL,
    created_at     BIGINT NOT NULL,
    changed_at     BIGINT NOT NULL,
    UNIQUE KEY id_number (tenant_id, id_type, id_blind),
    UNIQUE KEY resend (tenant_id, filed_by, retry_key),
    KEY listed (tenant_id, pati_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A member of an account is one patient, and an account has each patient once.
ALTER TABLE members
    ADD COLUMN pati_id BIGINT NULL AFTER user_id,
    ADD UNIQUE KEY patient (pati_id, user_id);
