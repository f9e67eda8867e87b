"""A row per settled request, closing balances of rows that are gone, figures per day; and whether all of it adds up.

Written by the scripts of `limits`, which put `rows.lua` in front of their own; read, trimmed and compared here.
"""
