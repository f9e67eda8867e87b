"""One request's story: admission, dispatch, relay, tail, settlement. Knows no dialect and no provider by name."""
