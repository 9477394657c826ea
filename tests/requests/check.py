"""Holds recorded requests against AWS's models of its services and against the limits that those leave out.

`shared/testkit` records what the unit tests' clients would send where RECORD_REQUESTS names a file.
"""

import collections
import sys

import limits
import models

# Of how many operations requests must have been recorded; fewer mean that the recording does not work.
LEAST = 100
TOLD = 40


def of_line(line):
    """What is wrong with a recorded request."""
    service, operation, given = models.read(line)
    name = f"{service}:{operation.name}"
    found = [
        *models.problems(operation.input_shape, given, operation.name),
        *limits.problems(service, operation, given),
    ]
    return name, found


def main(path):
    counts, wrong = collections.Counter(), collections.Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                name, found = of_line(line)
            except Exception as problem:  # A request that cannot be read is one that AWS would refuse.
                name, found = "a request", [f"{type(problem).__name__}: {problem}: {line[:300]}"]
            counts[name] += 1
            wrong.update(f"{name}: {problem[:400]}" for problem in found)
    for problem, times in wrong.most_common(TOLD):
        print(f"{problem} ({times} times)", file=sys.stderr)
    if len(counts) < LEAST:
        print(f"requests of {len(counts)} operations were recorded, and not of {LEAST}", file=sys.stderr)
    print(f"{sum(counts.values())} requests of {len(counts)} operations, {len(wrong)} problems")
    return 1 if wrong or len(counts) < LEAST else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
