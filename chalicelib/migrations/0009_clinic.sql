-- Groups (type 1) and labels (type 2) that staff put patients under.
CREATE TABLE adm_group_label (
    label_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    label_type  TINYINT NOT NULL,
    name        VARCHAR(64) NOT NULL,
    created_by  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE KEY name (tenant_id, label_type, name),
    KEY listed (tenant_id, label_type, label_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A patient is in one group at most, and has many labels.
CREATE TABLE adm_pati_label_rela (
    label_id    BIGINT NOT NULL,
    pati_id     BIGINT NOT NULL,
    tenant_id   BIGINT NOT NULL,
    is_group    TINYINT NULL,  -- 1 for a group, NULL for a label
    PRIMARY KEY (label_id, pati_id),
    UNIQUE KEY one_group (pati_id, is_group)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Who saw or changed which patient's file. Rows are added, never changed, never deleted.
CREATE TABLE patient_access (
    entry_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id  BIGINT NOT NULL,
    user_id    BIGINT NOT NULL,
    pati_id    BIGINT NOT NULL,
    action     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- read, filed or changed
    at         BIGINT NOT NULL,
    KEY listed (tenant_id, entry_id),
    KEY of_patient (tenant_id, pati_id, entry_id),
    KEY of_staff (tenant_id, user_id, entry_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

ALTER TABLE doctors ADD COLUMN title VARCHAR(64) NOT NULL DEFAULT '' AFTER duty_code;

ALTER TABLE patients ADD KEY by_name (tenant_id, name), ADD KEY by_phone (tenant_id, phone);
