"""The pool of workers."""

from __future__ import annotations

import gc
import weakref

from conformance.pool import _KeepsLocks


def test_a_lock_lasts_until_the_pool_is_gone_since_a_worker_may_come_up_while_it_closes():
    context = _KeepsLocks()
    lock = weakref.ref(context.RLock())
    gc.collect()
    assert lock() is not None
    del context
    gc.collect()
    assert lock() is None
