-- KEYS: 1 members of a file as far as they are gathered (set), 2 all of them (set)
-- ARGV: 1 for how long a file is held (ms), 2 1 with the last of them, else 0, 3... members
-- Result: 1. The file has all its members or none, whoever looks.
redis.call('SADD', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[1])
if ARGV[2] == '1' then
  redis.call('RENAME', KEYS[1], KEYS[2])
end
return 1
