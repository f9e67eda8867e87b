-- Look at some keys and remove those of one customer.
-- KEYS: 1 what all of them begin with, hash tag included
-- ARGV: 1 cursor, 2 how many keys are looked at, about, 3 the pattern of the keys
-- Result: array of the next cursor ('0' at the end) and how many keys were removed.
local scanned = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[3], 'COUNT', ARGV[2])
if #scanned[2] > 0 then
  redis.call('UNLINK', unpack(scanned[2]))
end
return {scanned[1], #scanned[2]}
