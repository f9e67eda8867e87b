-- KEYS: 1 customers (hash), 2 customer ids (sorted set), 3 keys (hash), 4 key ids (sorted set), 5 digests (hash),
--       6 customer keys (sorted set), 7 file customers (set), 8 file keys (set)
-- ARGV: 1 customer id, 2 record as it was read (JSON), 3... ids of keys that the configuration file holds
-- Result: 1 deleted with all its keys; 0 the record is no longer what was read; the id of a key (string) that the
--         file holds and that therefore keeps its customer. Nothing was changed unless 1.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
local held = {}
for index = 3, #ARGV do
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
    local digest = cjson.decode(record).digest
    if redis.call('HGET', KEYS[5], digest) == id then
      redis.call('HDEL', KEYS[5], digest)
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
return 1
