-- KEYS: 1 keys (hash), 2 key ids (sorted set), 3 digests (hash), 4 customer keys (sorted set), 5 customers (hash)
-- ARGV: 1 id, 2 record (JSON), 3 digest (hex), 4 customer id
-- Result: 1 made, 0 the id or the digest exists, -1 there is no such customer (nothing was changed).
if redis.call('HEXISTS', KEYS[5], ARGV[4]) == 0 then
  return -1
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 or redis.call('HEXISTS', KEYS[3], ARGV[3]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[4], 0, ARGV[4] .. ' ' .. ARGV[1])
return 1
