-- KEYS: 1 customers or keys (hash)
-- ARGV: 1 id, 2 record as it was read (JSON), 3 record to be (JSON)
-- Result: 1 replaced, 0 the record is no longer what was read (nothing was changed).
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
