"""`python -m seqcov_models`: see `cli`."""

import sys

from seqcov_models.cli import main

if __name__ == "__main__":
    sys.exit(main())
