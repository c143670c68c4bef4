-- The help desk and the other conversations of the messagecenter protocol.

-- Staff positions, shown to patients instead of the person. A member of staff has at most one, and it is never reassigned.
CREATE TABLE posts (
    post_id           BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id         BIGINT NOT NULL,
    user_id           BIGINT NOT NULL,  -- the member of staff
    title             VARCHAR(64) NOT NULL,
    dept_id           BIGINT NULL,
    skill             VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,  -- what patients may ask for to reach this person, '' for nothing in particular
    cap               SMALLINT NOT NULL,  -- maximum number of open help desk sessions
    on_duty           TINYINT NOT NULL DEFAULT 0,  -- 0 or 1
    last_activity_at  BIGINT NOT NULL DEFAULT 0,  -- when they last came on duty, or a session with them started or ended
    changed_by        BIGINT NOT NULL,  -- user_id
    changed_at        BIGINT NOT NULL,
    UNIQUE KEY holder (tenant_id, user_id),
    KEY by_duty (tenant_id, on_duty)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The help desk of a hospital. Its row is locked to assign a patient to an agent or to end an assignment.
CREATE TABLE desks (
    tenant_id  BIGINT PRIMARY KEY,
    tickets    BIGINT NOT NULL  -- the last queue number given out
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The messagecenter's conversations, each created once: `direct` between two people, `desk` between a patient and the
-- help desk, `announcement` from the hospital to one person.
CREATE TABLE chats (
    conversation_id  BIGINT PRIMARY KEY,
    tenant_id        BIGINT NOT NULL,
    session_id       VARBINARY(64) NOT NULL,  -- the conversation's public_id
    kind             VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- direct, desk or announcement
    user_id          BIGINT NOT NULL,  -- desk: the patient; announcement: the recipient; direct: the lower of the two ids
    peer_id          BIGINT NOT NULL,  -- direct: the higher of the two ids; else 0
    state            VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',  -- waiting, open or closed
    ticket           BIGINT NOT NULL DEFAULT 0,  -- queue number; the lowest is served first
    skill            VARCHAR(64) COLLATE utf8mb4_bin NOT NULL DEFAULT '',  -- the skill last requested
    agent_id         BIGINT NULL,  -- desk: user_id of the current or last agent
    started_seq      BIGINT NOT NULL DEFAULT 0,  -- last_seq when the help desk session started; later messages are unread for the agent
    app_id           VARBINARY(64) NOT NULL DEFAULT '',  -- the client application, as stated by the client
    created_at       BIGINT NOT NULL,
    UNIQUE KEY user_and_peer (tenant_id, kind, user_id, peer_id),
    UNIQUE KEY session_id (session_id),
    KEY queue (tenant_id, kind, state, ticket),
    KEY by_agent (tenant_id, agent_id, state)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- A reader's rating of a message; it can be changed.
CREATE TABLE ratings (
    conversation_id  BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    user_id          BIGINT NOT NULL,
    tenant_id        BIGINT NOT NULL,
    rating           TINYINT NOT NULL,  -- 1 helpful, -1 not helpful
    at               BIGINT NOT NULL,
    rating_id        BIGINT NOT NULL AUTO_INCREMENT,  -- of lists: tells apart what was rated at one time
    PRIMARY KEY (conversation_id, seq, user_id),
    UNIQUE KEY rating_id (rating_id),
    KEY by_time (tenant_id, at, rating_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
