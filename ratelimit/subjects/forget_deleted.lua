-- KEYS: 1 deleted customers (sorted set: id -> deleted_s)
-- ARGV: 1 those deleted before (s), 2 how many at most
-- Result: array of ids, which are no longer in it.
local ids = redis.call('ZRANGE', KEYS[1], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
if #ids > 0 then
  redis.call('ZREM', KEYS[1], unpack(ids))
end
return ids
