-- Lets the store take the place of the one a gateway remembers.
-- KEYS: 1 identity (string: JSON with `id` and `accepts`, ids of earlier stores, the latest first)
-- ARGV: 1 identity for a store that has none (JSON), 2 the remembered id
-- Result: array of 1 changed (1 or 0), 2 the identity as it now stands (JSON).
local raw = redis.call('GET', KEYS[1])
local read, found = pcall(cjson.decode, raw or '')
if not read or type(found) ~= 'table' or not found.id or type(found.accepts) ~= 'table' then
  redis.call('SET', KEYS[1], ARGV[1])
  return {1, ARGV[1]}
end
if found.id == ARGV[2] then
  return {0, raw}
end
for _, earlier in ipairs(found.accepts) do
  if earlier == ARGV[2] then
    return {0, raw}
  end
end
local accepts = {ARGV[2]}
for index = 1, math.min(#found.accepts, 15) do
  accepts[index + 1] = found.accepts[index]
end
local fresh = cjson.encode({id = found.id, accepts = accepts})
redis.call('SET', KEYS[1], fresh)
return {1, fresh}
