-- A lane is looked through in the index alone: however many messages wait for another company, our own work finds its rows.
ALTER TABLE outbox DROP KEY due, ADD KEY due (waiting, due_at, job);
