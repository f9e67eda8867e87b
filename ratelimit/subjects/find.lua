-- KEYS: 1 digests (hash), 2 keys (hash), 3 customers (hash)
-- ARGV: 1 digest (hex)
-- Result: array of the key's and its customer's record (JSON); empty when no key has the digest.
local id = redis.call('HGET', KEYS[1], ARGV[1])
local key = id and redis.call('HGET', KEYS[2], id)
local customer = key and redis.call('HGET', KEYS[3], cjson.decode(key).customer)
if not customer then
  return {}
end
return {key, customer}
