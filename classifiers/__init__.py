"""What kind of request is this: the ask in it, rules, a scorer, tiers, confidence. Never makes a call itself.

Must not know models, prices or upstreams. `asking` finds the ask, `rules` and `scorer` judge it, `cascade` puts them in
order, `micro` writes the question to a micro-classifier and reads its answer.
"""
