"""One thread for NumPy: tests run beside other processes, whose threads would fight over the same cores."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
