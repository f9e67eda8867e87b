-- Figures of some days, one after the other, those that have any.
-- KEYS: 1 figures of the first day (hash)
-- ARGV: 1 what keys of a day's figures begin with, 2 first day, 3 last day, 4 how many groups are enough for one call
-- Result: array of 1 the day that is to be read next, behind the last one: all are read, 2... an array per day that has
--         any: its number, then group (JSON), figures (array of whole numbers), again and again.
local first, last, enough = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local names = {}
for day = first, last do
  names[#names + 1] = ARGV[1] .. string.format('%d', day)
end
local answer = {last + 1}
-- Most customers have none at all, which one question tells.
if redis.call('EXISTS', unpack(names)) == 0 then
  return answer
end
local groups = 0
for place, name in ipairs(names) do
  if groups >= enough then
    answer[1] = first + place - 1
    break
  end
  local found = redis.call('HGETALL', name)
  if #found > 0 then
    local day = {first + place - 1}
    for at = 1, #found, 2 do
      day[at + 1], day[at + 2] = found[at], cmsgpack.unpack(found[at + 1])
    end
    answer[#answer + 1] = day
    groups = groups + #found / 2
  end
end
return answer
