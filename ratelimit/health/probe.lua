-- Take the right to probe: for every circuit named that is not closed, or for none.
-- KEYS: 1 circuits (hash)
-- ARGV: 1 offset_us added to the clock, 2 token of this probe, 3 how long others wait for it (ms), 4... circuits
-- Result: array of 1, then the circuits it was taken for (none: all are closed); array of 0: one of them is not due.
-- Asked again with the same token it gives the same.
local time = redis.call('TIME')
local now = math.floor((time[1] * 1000000 + time[2] + ARGV[1]) / 1000)

local values, reply = {}, {1}
for i = 4, #ARGV do
  local stored = redis.call('HGET', KEYS[1], ARGV[i])
  if stored then
    local value = cjson.decode(stored)
    local taken = now < value.leased_until and value.token ~= ARGV[2]
    if now < value.open_until or taken then
      return {0}
    end
    values[ARGV[i]] = value
    reply[#reply + 1] = ARGV[i]
  end
end
for name, value in pairs(values) do
  value.token = ARGV[2]
  value.leased_until = now + ARGV[3]
  redis.call('HSET', KEYS[1], name, cjson.encode(value))
end
return reply
