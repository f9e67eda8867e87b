"""What happened: gathered, settled, and written into log, ledger and records."""
