-- One request against the requests-per-minute buckets of a key and of its customer: both or none.
-- KEYS: 1 answer already given to this request (string), 2 key's bucket, 3 customer's bucket (strings)
-- ARGV: 1 key's limit, 2 customer's limit (requests per minute, empty = none), 3 offset_us added to the clock,
--       4 how long the answer is kept (ms)
-- Result: array of 1 passed (1 or 0), 2 whose bucket the figures are of (1 key, 2 customer), 3 remaining (whole
--         requests), 4 reset_us until it is full, 5 retry_us until one request passes (-1 never), 6 used (requests).
-- A bucket is `<requests used> <time_us of that figure>`; use leaks away at the limit. Absent = nothing used.
local stored = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3])
if stored[1] then
  return cmsgpack.unpack(stored[1])
end

local MINUTE_US = 60000000
-- Rounding must not refuse a request that comes exactly when it was told to.
local SLACK = 0.000001
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] + ARGV[3]

local buckets = {}
local passed = true
for subject = 1, 2 do
  local limit = tonumber(ARGV[subject])
  if limit then
    local used = 0
    if stored[subject + 1] then
      local level, at = string.match(stored[subject + 1], '^(%S+) (%S+)$')
      -- A clock set back (another server after a failover) gives nothing and takes nothing.
      local elapsed = math.max(0, now - tonumber(at))
      used = math.max(0, tonumber(level) - elapsed * limit / MINUTE_US)
    end
    -- Less than one request a minute still passes one at a time. A lowered limit is used up, never overdrawn.
    local capacity = limit > 0 and math.max(1, limit) or 0
    used = math.min(used, capacity)
    local fits = used + 1 <= capacity + SLACK
    passed = passed and fits
    buckets[#buckets + 1] = {subject = subject, limit = limit, capacity = capacity, used = used, fits = fits}
  end
end

local tight
for _, bucket in ipairs(buckets) do
  if passed then
    bucket.used = bucket.used + 1
    -- %.17g and %.0f keep every digit, which tostring() does not. Kept a second longer than it takes to empty.
    local keep_ms = math.ceil(bucket.used * MINUTE_US / bucket.limit / 1000) + 1000
    redis.call('SET', KEYS[bucket.subject + 1], string.format('%.17g %.0f', bucket.used, now),
      'PX', string.format('%.0f', math.min(keep_ms, 1e15)))
  end
  bucket.remaining = math.floor(math.max(0, bucket.capacity - bucket.used) + SLACK)
  if bucket.limit > 0 then
    bucket.reset = math.ceil(bucket.used * MINUTE_US / bucket.limit)
    bucket.retry = math.ceil(math.max(0, bucket.used + 1 - bucket.capacity) * MINUTE_US / bucket.limit)
  else
    bucket.reset = 0
    bucket.retry = math.huge
  end
  -- Passed: the one with less left. Refused: the one that takes longest to let a request pass.
  local tighter = not tight
  if tight and passed then
    tighter = bucket.remaining < tight.remaining
      or bucket.remaining == tight.remaining and bucket.reset > tight.reset
  elseif tight then
    tighter = bucket.retry > tight.retry
  end
  if tighter then
    tight = bucket
  end
end

local answer = {
  passed and 1 or 0, tight.subject, tight.remaining, tight.reset,
  tight.retry == math.huge and -1 or tight.retry, math.ceil(tight.used - SLACK),
}
if passed then
  -- A refused request took nothing, so it may be judged afresh.
  redis.call('SET', KEYS[1], cmsgpack.pack(answer), 'PX', ARGV[4])
end
return answer
