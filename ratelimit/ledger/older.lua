-- Rows before one, newest first, and the closing balances of all that is older, at the same moment.
-- KEYS: 1 ledger (stream), 2 closing balances (hash)
-- ARGV: 1 where to begin (a row's id, itself included; `(` in front: not), 2 how many at most
-- Result: array of 1 rows (array of id, scopes (one a line), tokens, micro-dollars, day), 2 closing balances (array of
--         scope, tokens, micro-dollars, requests), empty unless these were the last rows, 3 `through` (see `rows.lua`).
local most = tonumber(ARGV[2])
local rows, sums, through = {}, {}, NO_ROW
for _, row in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', most)) do
  local fields = row[2]
  rows[#rows + 1] = {row[1], fields[4], fields[6], fields[8], fields[10]}
end
if #rows < most then
  sums, through = read_closing(KEYS[2])
end
return {rows, sums, through}
