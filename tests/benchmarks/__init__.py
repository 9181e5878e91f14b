"""Benchmarks: `make bench`. Real processes on servers of their own; never part of the test command.

`command` reads the options and runs one module per figure: `ingesting` (a), `http_intake` (b), `end_to_end` (c),
`latency` (d), `memory` (e), `matching` (f), `stored_log` (g), with `naive` and `raw` as baselines of the same run.
"""
