-- KEYS: 1 keys (hash), 2 key ids (sorted set), 3 digests (hash), 4 customer keys (sorted set), 5 file keys (set)
-- ARGV: 1 id, 2 record as it was read (JSON), 3 digest (hex), 4 customer id
-- Result: 1 deleted, 0 the record is no longer what was read (nothing was changed).
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
-- The same secret may by now belong to another key of the configuration file.
if redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[1] then
  redis.call('HDEL', KEYS[3], ARGV[3])
end
redis.call('ZREM', KEYS[4], ARGV[4] .. ' ' .. ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
return 1
