"""What a request is, and which backends may answer it in which order."""
