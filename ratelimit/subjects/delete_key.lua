-- KEYS: 1 keys (hash), 2 key ids (sorted set), 3 digests (hash), 4 customer keys (sorted set), 5 file keys (set),
--       6 previous secret of the key (string)
-- ARGV: 1 id, 2 record as it was read (JSON), 3 customer id, 4 how long its texts are known as revoked (s, 0 not at
--       all), 5 what former secrets begin with
-- Result: 1 deleted, 0 the record is no longer what was read (nothing was changed).
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local function revoke(digest)
  if tonumber(ARGV[4]) > 0 then
    redis.call('SET', ARGV[5] .. digest, 'revoked', 'EX', ARGV[4])
  else
    redis.call('DEL', ARGV[5] .. digest)
  end
end
-- The same secret may by now belong to another key of the configuration file.
local digest = cjson.decode(ARGV[2]).digest
if redis.call('HGET', KEYS[3], digest) == ARGV[1] then
  redis.call('HDEL', KEYS[3], digest)
  revoke(digest)
end
local earlier = redis.call('GET', KEYS[6])
if earlier then
  redis.call('DEL', KEYS[6])
  revoke(earlier)
end
redis.call('ZREM', KEYS[4], ARGV[3] .. ' ' .. ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
return 1
