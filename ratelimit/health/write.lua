-- One gateway's news: counts per backend, what probes have shown, circuits to open. Counted once per batch number.
-- KEYS: 1 the writer's last batch (string), 2 circuits (hash), 3... backends (hashes)
-- ARGV: 1 offset_us added to the clock, 2 batch number, 3 error_ratio, 4 min_requests, 5 cool_down_ms,
--       (0: none is opened), 6 longest cool-down (ms), 7 the batch (JSON, see `gathering.Batch.encoded`)
-- Result: array of {circuit, opened|reopened|closed, reason}; the same for a batch that had been written already.
local HOUR_MS = 3600000
local HOURS = 168
-- Besides the hours: four of other names, and old hours left behind where a backend was idle when they ended.
local SPARE_FIELDS = 12
local SLOT_MS = 10000
local RECENT_SLOTS = 30
local WINDOW_SLOTS = 6
-- What is older than this counts nowhere, so neither it nor the number of its batch is needed.
local KEEP_MS = (HOURS + 1) * HOUR_MS
-- A circuit that nobody has probed for so long is forgotten: closed.
local FORGET_MS = HOUR_MS

local known = redis.call('GET', KEYS[1])
if known then
  local last = cjson.decode(known)
  if last.number >= tonumber(ARGV[2]) then
    return last.changes
  end
end

-- A script that fails half-way keeps what it has written: sent again, the batch must not count twice.
redis.call('SET', KEYS[1], cjson.encode({number = tonumber(ARGV[2]), changes = {}}), 'PX', KEEP_MS)

local time = redis.call('TIME')
local now = math.floor((time[1] * 1000000 + time[2] + ARGV[1]) / 1000)
local this_hour = math.floor(now / HOUR_MS)
local this_slot = math.floor(now / SLOT_MS)
local ratio, least, cool_down, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local batch = cjson.decode(ARGV[7])
local changes = {}
local key_of = {}
for number, backend in ipairs(batch.backends) do
  key_of[backend] = KEYS[number + 2]
end

local function circuit(name)
  local stored = redis.call('HGET', KEYS[2], name)
  return stored and cjson.decode(stored)
end

local function keep(name, value)
  redis.call('HSET', KEYS[2], name, cjson.encode(value))
  local needed = math.max(value.open_until - now, 0) + FORGET_MS
  if redis.call('PTTL', KEYS[2]) < needed then
    redis.call('PEXPIRE', KEYS[2], needed)
  end
end

local function judge_afresh(name)
  -- The name of a backend's own circuit ends with the line break. What was met while it was open is forgotten.
  local key = key_of[string.match(name, '^(.+)\n$') or '']
  if key then
    redis.call('HDEL', key, 'window')
  end
end

local function add(packed, numbers)
  local tally = packed and cmsgpack.unpack(packed) or {}
  for i = 1, #numbers, 2 do
    tally[numbers[i]] = (tally[numbers[i]] or 0) + numbers[i + 1]
  end
  return cmsgpack.pack(tally)
end

local function count_hour(key, hour, numbers)
  local stored = redis.call('HMGET', key, hour, 'week', 'week_of')
  if not stored[1] then
    -- One hour more than the figures have is kept: the running week has yet to give it up.
    redis.call('HDEL', key, this_hour - HOURS - 1)
    if redis.call('HLEN', key) > HOURS + SPARE_FIELDS then
      for _, field in ipairs(redis.call('HKEYS', key)) do
        local other = tonumber(field)
        if other and other < this_hour - HOURS then
          redis.call('HDEL', key, field)
        end
      end
    end
  end
  redis.call('HSET', key, hour, add(stored[1], numbers))
  local week_of = tonumber(stored[3])
  if week_of and hour < week_of and hour > week_of - HOURS then
    redis.call('HSET', key, 'week', add(stored[2], numbers))
  end
  redis.call('PEXPIRE', key, KEEP_MS)
end

-- A ring is a flat array of slot, answered, failed, saturated. Slots come in any order.
local function count_slot(key, field, slots, slot, cell)
  local packed = redis.call('HGET', key, field)
  local ring, found = {}, false
  local stored = packed and cmsgpack.unpack(packed) or {}
  for i = 1, #stored, 4 do
    if stored[i] > this_slot - slots then
      local same = stored[i] == slot
      found = found or same
      ring[#ring + 1] = stored[i]
      for j = 1, 3 do
        ring[#ring + 1] = stored[i + j] + (same and cell[j + 2] or 0)
      end
    end
  end
  if not found then
    for _, number in ipairs({slot, cell[3], cell[4], cell[5]}) do
      ring[#ring + 1] = number
    end
  end
  redis.call('HSET', key, field, cmsgpack.pack(ring))
end

for _, cell in ipairs(batch.cells) do
  local key = KEYS[cell[1] + 2]
  local at = now - cell[2]
  local hour, slot = math.floor(at / HOUR_MS), math.floor(at / SLOT_MS)
  if hour > this_hour - HOURS then
    count_hour(key, hour, cell[6])
    if cell[3] + cell[4] + cell[5] > 0 and slot > this_slot - RECENT_SLOTS then
      count_slot(key, 'recent', RECENT_SLOTS, slot, cell)
      if slot > this_slot - WINDOW_SLOTS then
        count_slot(key, 'window', WINDOW_SLOTS, slot, cell)
      end
    end
  end
end

-- Verdicts before openings: what a probe met besides its verdict is the newer word.
for _, verdict in ipairs(batch.verdicts) do
  local name, token, shown = verdict[1], verdict[2], verdict[3]
  local value = circuit(name)
  if value and value.token == token then
    if shown == 'passed' then
      redis.call('HDEL', KEYS[2], name)
      judge_afresh(name)
      changes[#changes + 1] = {name, 'closed', value.reason}
    else
      value.token = ''
      value.leased_until = 0
      if shown == 'failed' then
        value.cool_down = math.min(math.max(2 * value.cool_down, cool_down, 1000), longest)
        value.open_until = math.max(value.open_until, now + value.cool_down)
        changes[#changes + 1] = {name, 'reopened', value.reason}
      end
      keep(name, value)
    end
  end
end

local function open(name, reason, length)
  local value = circuit(name)
  if not value then
    value = {open_until = now + length, cool_down = length, reason = reason, token = '', leased_until = 0}
    changes[#changes + 1] = {name, 'opened', reason}
  else
    local longer = now + length > value.open_until
    value.open_until = math.max(value.open_until, now + length)
    value.cool_down = math.max(value.cool_down, length)
    if value.reason ~= 'auth' and (longer or reason == 'auth') then
      value.reason = reason
      if reason == 'auth' then
        changes[#changes + 1] = {name, 'opened', reason}
      end
    end
  end
  keep(name, value)
end

for _, opening in ipairs(batch.openings) do
  open(opening[1], opening[2], opening[3])
end

for _, backend in ipairs(batch.backends) do
  local packed = redis.call('HGET', key_of[backend], 'window')
  local name = backend .. '\n'
  if packed and cool_down > 0 and redis.call('HEXISTS', KEYS[2], name) == 0 then
    local ring = cmsgpack.unpack(packed)
    local answered, failed = 0, 0
    for i = 1, #ring, 4 do
      if ring[i] > this_slot - WINDOW_SLOTS then
        answered = answered + ring[i + 1]
        failed = failed + ring[i + 2]
      end
    end
    local total = answered + failed
    if failed > 0 and total >= least and failed >= ratio * total then
      open(name, 'errors', cool_down)
    end
  end
end

redis.call('SET', KEYS[1], cjson.encode({number = tonumber(ARGV[2]), changes = changes}), 'PX', KEEP_MS)
return changes
