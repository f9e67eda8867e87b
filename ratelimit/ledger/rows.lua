-- How what was spent is written down; it stands in front of scripts of this folder and of those that settle.
--
-- A row of the ledger (stream; its id begins with the time of settlement, ms) has the fields, in this order:
--   `row` (opaque), or `released` (JSON: id, tokens, microusd, admitted_us, about) where money was given back;
--   `scopes` (field names, one a line), `tokens`, `microusd`, `day` of the admission (days since 1970-01-01).
-- Closing balances are one hash: scope -> packed {tokens, micro-dollars, requests} of rows that are no more;
--   `through` -> packed {id of the last row that went, latest day of admission among them, how many rows were never
--   written and went there at once}. No scope is called `through`.
-- Figures of a day are one hash: group (JSON: array, its fourth member the tags) -> packed whole numbers.
local GROUPS_MAX = 2000
local NO_ROW = {'0-0', -1, 0}

local function digits(number)
  return string.format('%.0f', number)
end

local Closing = {}
Closing.__index = Closing

local function open_closing(key)
  return setmetatable({key = key, sums = {}, order = {}, last = false, day = -1, direct = 0}, Closing)
end

function Closing:add(names, tokens, microusd, requests, day)
  for _, name in ipairs(names) do
    local sum = self.sums[name]
    if not sum then
      sum = {0, 0, 0}
      self.sums[name] = sum
      self.order[#self.order + 1] = name
    end
    sum[1], sum[2], sum[3] = sum[1] + tokens, sum[2] + microusd, sum[3] + requests
  end
  self.day = math.max(self.day, day)
end

function Closing:write()
  if #self.order == 0 then
    return
  end
  local before = redis.call('HMGET', self.key, 'through', unpack(self.order))
  local through = before[1] and cmsgpack.unpack(before[1]) or NO_ROW
  local changes = {'through', cmsgpack.pack({self.last or through[1], math.max(self.day, through[2]), through[3] + self.direct})}
  for place, name in ipairs(self.order) do
    local old, sum = before[place + 1], self.sums[name]
    local known = old and cmsgpack.unpack(old) or {0, 0, 0}
    changes[#changes + 1] = name
    changes[#changes + 1] = cmsgpack.pack({known[1] + sum[1], known[2] + sum[2], known[3] + sum[3]})
  end
  redis.call('HSET', self.key, unpack(changes))
end

-- All closing balances: array of scope, tokens, micro-dollars, requests each; and `through`.
local function read_closing(key)
  local sums, through = {}, NO_ROW
  local closed = redis.call('HGETALL', key)
  for place = 1, #closed, 2 do
    local sum = cmsgpack.unpack(closed[place + 1])
    if closed[place] == 'through' then
      through = sum
    else
      sums[#sums + 1] = {closed[place], sum[1], sum[2], sum[3]}
    end
  end
  return sums, through
end

local function split(text)
  local names = {}
  for name in string.gmatch(text, '[^\n]+') do
    names[#names + 1] = name
  end
  return names
end

-- Sum up and remove rows written before `before_us`, oldest first. How many there were.
local function trim(key, closing, before_us, at_most)
  local rows = redis.call('XRANGE', key, '-', digits(math.max(0, math.floor(before_us / 1000) - 1)), 'COUNT', at_most)
  local ids = {}
  for place, row in ipairs(rows) do
    local fields = row[2]
    ids[place] = row[1]
    closing:add(split(fields[4]), tonumber(fields[6]), tonumber(fields[8]), fields[1] == 'row' and 1 or 0, tonumber(fields[10]))
  end
  if #ids > 0 then
    redis.call('XDEL', key, unpack(ids))
    closing.last = ids[#ids]
  end
  return #ids
end

-- Write a row, or add to the closing balances at once where none is to be kept (`text` empty, `keep_us` 0).
local function append(key, closing, now, keep_us, kind, text, names, tokens, microusd, day)
  if text == '' or keep_us <= 0 then
    closing:add(names, tokens, microusd, kind == 'row' and 1 or 0, day)
    closing.direct = closing.direct + 1
    return
  end
  local row = {kind, text, 'scopes', table.concat(names, '\n'), 'tokens', digits(tokens), 'microusd', digits(microusd),
    'day', digits(day)}
  local written = redis.pcall('XADD', key, digits(math.floor(now / 1000)) .. '-*', unpack(row))
  if type(written) == 'table' and written.err then
    -- The clock went back (another server after a failover): behind the last row all the same.
    redis.call('XADD', key, '*', unpack(row))
  end
end

-- Add to a group's figures of a day. A day that has too many groups tells tags apart no more: its sums stay right.
local function add_figures(key, group, figures, expire_s)
  local packed = redis.call('HGET', key, group)
  local new = not packed
  if new then
    local groups = redis.call('HLEN', key)
    if groups >= GROUPS_MAX then
      local parts = cjson.decode(group)
      parts[4] = cjson.null
      group = cjson.encode(parts)
      packed = redis.call('HGET', key, group)
    end
    new = groups == 0
  end
  if packed then
    for place, figure in ipairs(cmsgpack.unpack(packed)) do
      figures[place] = figures[place] + figure
    end
  end
  redis.call('HSET', key, group, cmsgpack.pack(figures))
  if new then
    redis.call('EXPIRE', key, expire_s)
  end
end
