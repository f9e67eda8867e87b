"""Makes runtime objects of settings; opens nothing and keeps nothing. Only the composer and the commands use it."""
