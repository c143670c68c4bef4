-- What a client of the messagecenter puts beside a message's text (title, link, business object): kept and returned.
ALTER TABLE messages ADD COLUMN extra VARCHAR(4000) NOT NULL DEFAULT '';

-- Posts of the staff: what a patient sees of who answers. A post is its holder's for good, and they have one.
CREATE TABLE posts (
    post_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    user_id     BIGINT NOT NULL,  -- the member of staff who holds it
    title       VARCHAR(64) NOT NULL,
    dept_id     BIGINT NULL,
    skill       VARCHAR(64) NOT NULL,  -- what patients ask the desk for; '' nothing in particular
    cap         SMALLINT NOT NULL,  -- open sessions of the desk at once
    on_duty     TINYINT NOT NULL DEFAULT 0,
    idle_since  BIGINT NOT NULL DEFAULT 0,  -- when a session was last begun or ended with them
    changed_by  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    UNIQUE KEY holder (tenant_id, user_id),
    KEY on_duty (tenant_id, on_duty)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A hospital's desk. Whoever gives a patient to an agent, or takes one away, holds this row; it numbers who waits.
CREATE TABLE desks (
    tenant_id  BIGINT PRIMARY KEY,
    tickets    BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Conversations that the messagecenter makes, each once: `direct` between two persons, `desk` between a patient and
-- whoever serves them there, `notice` from the hospital to one person.
CREATE TABLE chats (
    conversation_id  BIGINT PRIMARY KEY,
    tenant_id        BIGINT NOT NULL,
    session_id       VARBINARY(64) NOT NULL,  -- the conversation's public id
    kind             VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id          BIGINT NOT NULL,  -- desk: the patient; notice: the receiver; direct: the lower id of the two
    peer_id          BIGINT NOT NULL,  -- direct: the higher id; else 0
    state            VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'open',  -- waiting, open, closed
    ticket           BIGINT NOT NULL DEFAULT 0,  -- who waits with the lowest is next
    skill            VARCHAR(64) NOT NULL DEFAULT '',  -- what was asked for last
    agent_id         BIGINT NULL,  -- desk: who serves, or served last
    begun_seq        BIGINT NOT NULL DEFAULT 0,  -- what was said since is for the agent to read
    app_id           VARBINARY(64) NOT NULL DEFAULT '',  -- through what the client said it came
    created_at       BIGINT NOT NULL,
    UNIQUE KEY pair (tenant_id, kind, user_id, peer_id),
    UNIQUE KEY session_id (session_id),
    KEY queue (tenant_id, kind, state, ticket),
    KEY served (tenant_id, agent_id, state)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What a reader thinks of a message: one row for each of the two, which may change.
CREATE TABLE appraisals (
    conversation_id  BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    user_id          BIGINT NOT NULL,
    tenant_id        BIGINT NOT NULL,
    appraise         TINYINT NOT NULL,  -- 1 good, -1 not
    at               BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, seq, user_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
