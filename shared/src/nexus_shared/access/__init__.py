"""Access: API keys as signed tokens, verified offline in every service.

`tokens` signs and verifies, `principal` says who may do what, `revocations` takes keys back within seconds,
`dependencies` guards FastAPI routes, `keys` reads key lists from settings.
"""
