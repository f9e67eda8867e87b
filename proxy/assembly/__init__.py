"""Makes runtime objects of settings, around what the composer has opened. Only the composer and the commands use it."""
