"""What kind of request is this: text features, tiers, confidence. Never makes a call itself.

Must not know models, prices or upstreams. Planned: features, rules, scorer, micro, cascade.
"""
