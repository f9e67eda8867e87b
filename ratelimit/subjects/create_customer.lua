-- KEYS: 1 customers (hash), 2 customer ids (sorted set), 3 deleted customers (sorted set)
-- ARGV: 1 id, 2 record (JSON)
-- Result: 1 made, 0 the id exists (nothing was changed).
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  return 0
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
