"""What a request may use: bounds and guesses, and the one reservation against all limits."""
