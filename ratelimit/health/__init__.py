"""What is known of each backend: 7 days of outcomes, speeds, and circuits that open and close. Ids are opaque.

Must not know what a provider is, who pays, or what is done with a figure.
"""
