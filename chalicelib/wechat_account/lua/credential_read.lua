-- Return {state, text}: a cached credential, a recent failure, the lease to fetch the credential, or the advice to wait.
-- KEYS: 1 credential, 2 lease, 3 failure. ARGV: 1 lease holder, 2 lease in milliseconds, 3 a cached text that is no
-- longer valid ('' for none).
local credential = redis.call('GET', KEYS[1])
if credential and credential ~= ARGV[3] then return {'cached', credential} end
local failure = redis.call('GET', KEYS[3])
if failure then return {'failed', failure} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'acquired', ''} end
return {'wait', ''}
