"""The composer: the only room that knows the others. It owns HTTP, secrets, connections and the story of a request.

Floors, top to bottom (checked by import-linter): cli, app, web | admin | console | sandbox, http, exchange,
routing, settings | telemetry. A floor imports only what lies below it.
"""
