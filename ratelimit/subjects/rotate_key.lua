-- KEYS: 1 keys (hash), 2 digests (hash), 3 previous secret of the key (string)
-- ARGV: 1 id, 2 digest of the new text (hex), 3 how long the present text works on (s, whole, 0 not at all),
--       4 how long an ended text is known as such (s), 5 offset_us added to the clock, 6 what former secrets begin with
-- Result: the record (JSON) as it is now; 0 there is no such key, -1 the file manages it (nothing was changed).
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then
  return 0
end
local old = cjson.decode(record)
if old.managed == 'file' then
  return -1
end
local earlier = redis.call('GET', KEYS[3])
if earlier then
  redis.call('SET', ARGV[6] .. earlier, 'replaced', 'EX', ARGV[4])
  redis.call('DEL', KEYS[3])
end
local until_s = 'null'
if redis.call('HGET', KEYS[2], old.digest) == ARGV[1] then
  redis.call('HDEL', KEYS[2], old.digest)
  local former = ARGV[6] .. old.digest
  if tonumber(ARGV[3]) == 0 then
    redis.call('SET', former, 'replaced', 'EX', ARGV[4])
  else
    local time = redis.call('TIME')
    local now_s = math.floor((time[1] * 1000000 + time[2] + ARGV[5]) / 1000000)
    until_s = string.format('%d', now_s + ARGV[3])
    -- Known as long as the text is: a key deleted meanwhile must find what names it.
    redis.call('SET', former, ARGV[1] .. ' ' .. until_s, 'EX', ARGV[3] + ARGV[4])
    redis.call('SET', KEYS[3], old.digest, 'EX', ARGV[3] + ARGV[4])
  end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
-- Edited as text, since cjson would write an empty list as an object. No text in JSON holds a bare quote, so that
-- only the members themselves match.
record = string.gsub(record, '"digest":"%x+"', '"digest":"' .. ARGV[2] .. '"', 1)
record = string.gsub(record, ',"previous_until_s":[%dnul]+', '', 1)
record = string.sub(record, 1, -2) .. ',"previous_until_s":' .. until_s .. '}'
redis.call('HSET', KEYS[1], ARGV[1], record)
return record
