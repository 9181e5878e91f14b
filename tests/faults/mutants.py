"""trigger-processor with a promise taken out of it, to prove that the checker would notice: `mutants.py no-holes`."""

from __future__ import annotations

import sys

from nexus_shared import lanes
from nexus_shared.lanes import Verdict


def no_holes() -> None:
    """A frame that does not follow is taken as if it did: what was lost before it is never missed."""
    lanes.judge = lambda mine, prev, last: Verdict.TAKE if last > mine else Verdict.NOTHING


MUTANTS = {"no-holes": no_holes}


def main() -> None:
    MUTANTS[sys.argv[1]]()
    from nexus_trigger_processor.app import main as run  # only now: its modules take what they find

    run()


if __name__ == "__main__":
    main()
