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
    local reservation = cmsgpack.unpack(lost)
    book:read(reservation[7])
    for place, name in ipairs(reservation[7]) do
      local scope = book.scopes[name]
      scope[7] = scope[7] + 1
      add(scope, reservation, 1, -reservation[4])
      add(scope, reservation, 2, -reservation[5])
      add(scope, reservation, 3, reservation[4])
      add(scope, reservation, 4, reservation[5])
      -- What its minute was charged came back and is not charged again; what it uses is, when it is settled.
      reservation[6][place] = math.min(0, reservation[6][place])
    end
    redis.call('HDEL', KEYS[4], id)
    redis.call('HSET', KEYS[2], id, cmsgpack.pack(reservation))
    redis.call('ZADD', KEYS[3], due, id)
  elseif redis.call('HEXISTS', KEYS[2], id) == 1 then
    redis.call('ZADD', KEYS[3], due, id)
  else
    unknown[#unknown + 1] = id
  end
end
book:write()
return unknown
