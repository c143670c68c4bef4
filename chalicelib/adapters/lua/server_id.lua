-- Begins every script: `server` is the id of the running Redis process. Data that another process wrote may come from
-- an older replica, so scripts store the id with what they write and compare it when they read.
-- A plain search (4th argument true): a pattern would be tried at every place of the text, which takes as long as the
-- rest of a small script.
local info = redis.call('INFO', 'server')
local run_id_at = string.find(info, 'run_id:', 1, true) + 7
local server = string.sub(info, run_id_at, run_id_at + 39)
