"""Following a task's pod to its end: by the triggerer for many pods at once, or by a worker for one.

The triggerer runs for weeks and must run what the dags folder has now. So this package is loaded there on its own,
under a name that contains the library's version (see `plugin/jobyard_trigger.py`): it imports nothing of `jobyard` but
itself. What it finds is data, an `Ending`; a worker decides what follows from it.
"""
