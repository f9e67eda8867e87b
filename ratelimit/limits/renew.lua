-- Keep reservations whose requests are under way; those taken for lost are brought back.
-- KEYS: 1 scopes (hash), 2 held (hash), 3 due (sorted set), 4 lost (hash)
-- ARGV: 1 offset_us, 2 how long they are held from now on (us), 3... reservation ids
-- Result: array of the ids that are neither held nor lost.
local now = clock(tonumber(ARGV[1]))
local due = whole(now + tonumber(ARGV[2]))
local book = open_book(KEYS[1])
local unknown = {}
for index = 3, #ARGV do
  local id = ARGV[index]
  local lost = redis.call('HGET', KEYS[4], id)
  if lost then
    revive(book, KEYS[2], KEYS[3], KEYS[4], id, lost, due)
  elseif redis.call('HEXISTS', KEYS[2], id) == 1 then
    redis.call('ZADD', KEYS[3], due, id)
  else
    unknown[#unknown + 1] = id
  end
end
book:write()
return unknown
