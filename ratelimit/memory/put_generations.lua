-- Keep records of one customer's past requests.
-- KEYS: 1... each record (string)
-- ARGV: 1 how long they are kept (ms), 2... the records, in the same order
-- Result: how many there were.
for place = 1, #KEYS do
  redis.call('SET', KEYS[place], ARGV[place + 1], 'PX', ARGV[1])
end
return #KEYS
