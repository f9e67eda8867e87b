-- Sum up rows that are older than rows are kept, some at a time.
-- KEYS: 1 ledger (stream), 2 closing balances (hash)
-- ARGV: 1 offset_us added to the clock, 2 how long rows are kept (us), 3 how many at most
-- Result: how many went.
local time = redis.call('TIME')
local closing = open_closing(KEYS[2])
local gone = trim(KEYS[1], closing, time[1] * 1000000 + time[2] + tonumber(ARGV[1]) - tonumber(ARGV[2]), tonumber(ARGV[3]))
closing:write()
return gone
