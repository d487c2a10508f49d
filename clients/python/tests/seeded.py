"""What random tests begin with: another each time, unless the variable says otherwise."""

import os
import random

SEED = int(os.environ.get("BELLWIRE_TEST_SEED") or random.randrange(2**31))


def seeded(name: str) -> random.Random:
    print(f"BELLWIRE_TEST_SEED={SEED}: {name}")
    return random.Random(f"{SEED} {name}")
