-- Notifications that must arrive, and the templates of SMS by which they do.

-- How far each has come: from WeChat to SMS to the front desk's call list. A channel is recorded before it is used where
-- using it twice would be noticed.
CREATE TABLE booking_notifications (
    notification_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    name             VARBINARY(128) NOT NULL,  -- by which it is sent once, such as booking:12:1102
    book_id          BIGINT NOT NULL,
    user_id          BIGINT NULL,  -- the account; NULL if the patient has none
    event_type       SMALLINT NOT NULL,  -- see EventType
    change_number    SMALLINT NOT NULL,  -- bookings.changes afterwards, where the event can repeat, else 0
    details          VARCHAR(1000) NOT NULL,  -- JSON: what the text says besides the booking
    text             VARCHAR(1000) NOT NULL,  -- what the patient is to know
    state            VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- see NotificationState
    failure          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- why none reached the patient
    called_by        BIGINT NULL,  -- user_id of the member of staff who has called the patient
    called_at        BIGINT NULL,
    changed_at       BIGINT NOT NULL,  -- of the state
    created_at       BIGINT NOT NULL,
    UNIQUE KEY name (tenant_id, name),
    KEY by_state (state, tenant_id, notification_id),
    KEY by_age (created_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The SMS template that a hospital's provider has approved for an event, and the signature. Events without one are not sent.
CREATE TABLE sms_templates (
    tenant_id    BIGINT NOT NULL,
    event_type   SMALLINT NOT NULL,  -- see EventType
    sign_name    VARCHAR(32) NOT NULL,
    template_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    variables    VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- their names in the order of the template
    changed_by   BIGINT NOT NULL,  -- user_id
    changed_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
