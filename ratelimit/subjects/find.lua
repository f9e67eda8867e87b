-- KEYS: 1 digests (hash), 2 keys (hash), 3 customers (hash), 4 former secret of this digest (string)
-- ARGV: 1 digest (hex), 2 offset_us added to the clock
-- Result: array of the key's and its customer's record (JSON), and of when the text ends (s) if a rotation has
--         replaced it; of one word, why the text opens nothing any more; empty when no key has or had it.
local id = redis.call('HGET', KEYS[1], ARGV[1])
local until_s
if not id then
  local former = redis.call('GET', KEYS[4])
  if not former then
    return {}
  end
  id, until_s = string.match(former, '^(%S+) (%d+)$')
  if not id then
    return {former}
  end
  local time = redis.call('TIME')
  if time[1] * 1000000 + time[2] + ARGV[2] >= until_s * 1000000 then
    return {'replaced'}
  end
end
local key = redis.call('HGET', KEYS[2], id)
local customer = key and redis.call('HGET', KEYS[3], cjson.decode(key).customer)
if not customer then
  return {}
end
return {key, customer, until_s}
