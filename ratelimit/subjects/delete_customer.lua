-- KEYS: 1 customers (hash), 2 customer ids (sorted set), 3 keys (hash), 4 key ids (sorted set), 5 digests (hash),
--       6 customer keys (sorted set), 7 file customers (set), 8 file keys (set),
--       9 deleted customers (sorted set: id -> deleted_s)
-- ARGV: 1 customer id, 2 record as it was read (JSON), 3 how long texts of keys made over the API are known as
--       revoked (s), 4 what former secrets begin with, 5 what previous secrets begin with,
--       6 now (s), 7... ids of keys that the configuration file holds
-- Result: 1 deleted with all its keys; 0 the record is no longer what was read; the id of a key (string) that the
--         file holds and that therefore keeps its customer. Nothing was changed unless 1.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
local held = {}
for index = 7, #ARGV do
  held[ARGV[index]] = true
end
-- '!' follows the space in byte order: the range is exactly the members that begin with the id and a space.
local members = redis.call('ZRANGE', KEYS[6], '[' .. ARGV[1] .. ' ', '(' .. ARGV[1] .. '!', 'BYLEX')
local skip = #ARGV[1] + 2
for _, member in ipairs(members) do
  local id = string.sub(member, skip)
  if held[id] then
    return id
  end
end
for _, member in ipairs(members) do
  local id = string.sub(member, skip)
  local record = redis.call('HGET', KEYS[3], id)
  if record then
    local key = cjson.decode(record)
    if redis.call('HGET', KEYS[5], key.digest) == id then
      redis.call('HDEL', KEYS[5], key.digest)
      if key.managed == 'api' then
        redis.call('SET', ARGV[4] .. key.digest, 'revoked', 'EX', ARGV[3])
      end
    end
    local earlier = redis.call('GET', ARGV[5] .. id)
    if earlier then
      redis.call('DEL', ARGV[5] .. id)
      redis.call('SET', ARGV[4] .. earlier, 'revoked', 'EX', ARGV[3])
    end
  end
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZREM', KEYS[6], member)
  redis.call('SREM', KEYS[8], id)
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[7], ARGV[1])
redis.call('ZADD', KEYS[9], ARGV[6], ARGV[1])
return 1
