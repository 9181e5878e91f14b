"""Third parties we can break at will. Each speaks HTTP, runs in a test's loop or as a process of its own, and shares no
code with the services it is called by: what it verifies, it verifies on its own reading of the standard.
"""
