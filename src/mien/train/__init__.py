"""Training: batches on the device, one exact step after the other, runs that can be killed and go on."""

import os

# Large pages for torch's tensors on Linux: a step allocates and frees maps of many megabytes, and with small pages a
# good part of it goes into page faults. torch reads this once, at its first large allocation.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
