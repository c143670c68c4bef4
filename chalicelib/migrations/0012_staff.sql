-- The staff's work with patient files: groups, labels and the access log. Document 003 prescribes the names
-- adm_group_label and adm_pati_label_rela.

-- Groups and labels for patients.
CREATE TABLE adm_group_label (
    label_id       BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    label_type     TINYINT NOT NULL,  -- 1 group, 2 label
    name           VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,
    person_number  INT NOT NULL DEFAULT 0,  -- number of patients, updated with adm_pati_label_rela
    created_by     BIGINT NOT NULL,  -- user_id
    created_at     BIGINT NOT NULL,
    idempotency_key  VARBINARY(128) NULL,  -- Idempotency-Key of the request that created it
    UNIQUE KEY name (tenant_id, label_type, name),
    UNIQUE KEY idempotency_key (tenant_id, created_by, idempotency_key),
    KEY by_type (tenant_id, label_type, label_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Patients of groups and labels. A patient is in one group at most, and has any number of labels.
CREATE TABLE adm_pati_label_rela (
    label_id    BIGINT NOT NULL,
    pati_id     BIGINT NOT NULL,
    tenant_id   BIGINT NOT NULL,
    is_group    TINYINT NULL,  -- 1 for a group, NULL for a label
    PRIMARY KEY (label_id, pati_id),
    UNIQUE KEY one_group (pati_id, is_group)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Audit log of access to patient files. Rows are only added.
CREATE TABLE patient_access (
    entry_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id  BIGINT NOT NULL,
    user_id    BIGINT NOT NULL,
    key_id     BIGINT NULL,  -- the internal key that acted for the user
    pati_id    BIGINT NULL,  -- NULL for a search
    action     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- read, filed (created), changed or searched
    is_break_glass  BOOLEAN NOT NULL DEFAULT 0,  -- the user may do this for a reason only: see staff/file_access.py
    reason     VARCHAR(255) NOT NULL DEFAULT '',
    at         BIGINT NOT NULL,
    KEY by_tenant (tenant_id, entry_id),
    KEY by_patient (tenant_id, pati_id, entry_id),
    KEY by_user (tenant_id, user_id, entry_id),
    KEY by_break_glass (tenant_id, is_break_glass, entry_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
