"""Training of the scorer; never imported at run time. Planned."""
