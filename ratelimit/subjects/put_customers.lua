-- KEYS: 1 customers (hash), 2 customer ids (sorted set), 3 file customers (set),
--       4 deleted customers (sorted set)
-- ARGV: id, record (JSON), again and again
-- Result: how many were written. What the file says replaces what was there.
for index = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
  redis.call('ZADD', KEYS[2], 0, ARGV[index])
  redis.call('SADD', KEYS[3], ARGV[index])
  redis.call('ZREM', KEYS[4], ARGV[index])
end
return #ARGV / 2
