"""One package or file per upstream dialect: encode a canonical request, decode answers into events."""
