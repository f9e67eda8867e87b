"""One file per way of authenticating to a provider: method, URL, headers and body bytes in, headers out."""
