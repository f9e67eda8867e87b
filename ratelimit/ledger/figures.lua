-- Figures of one day.
-- KEYS: 1 figures (hash)
-- Result: array of 1 group (JSON), 2 figures (array of whole numbers), again and again.
local found = redis.call('HGETALL', KEYS[1])
for place = 2, #found, 2 do
  found[place] = cmsgpack.unpack(found[place])
end
return found
