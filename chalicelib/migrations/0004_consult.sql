-- Online consultations: one session, with its own conversation, for each member and doctor.
CREATE TABLE consult_sessions (
    session_id       BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    session_no       VARBINARY(64) NOT NULL,  -- the conversation's public_id
    conversation_id  BIGINT NOT NULL,
    member_id        BIGINT NOT NULL,
    doctor_id        BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    UNIQUE KEY session_no (session_no),
    UNIQUE KEY member_and_doctor (member_id, doctor_id),
    KEY by_doctor (doctor_id, session_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
