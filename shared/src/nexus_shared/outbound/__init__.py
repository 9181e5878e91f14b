"""Calls to addresses that a tenant chose: what may be called, how it is called safely, how it is signed.

`addresses` decides (pure), `names` looks up, `aiohttp_guard` and `httpx_guard` enforce the decision on the very
connection that is made, `headers` and `signing` make what goes along.
"""
