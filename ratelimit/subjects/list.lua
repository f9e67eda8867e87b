-- KEYS: 1 ids (sorted set, all scores 0), 2 records (hash)
-- ARGV: 1 lower bound, 2 upper bound (as ZRANGE BYLEX has them), 3 how many at most,
--       4 length of what stands before the id in each member
-- Result: array of records (JSON), in order of id.
local members = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])
local records = {}
local skip = tonumber(ARGV[4]) + 1
for _, member in ipairs(members) do
  records[#records + 1] = redis.call('HGET', KEYS[2], string.sub(member, skip))
end
return records
