"""One file per client dialect: parse a request to canonical, render events as bytes."""
