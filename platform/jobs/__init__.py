"""Work after the commit: kinds of jobs, runs, workers. The durable engine behind it is known to ``durable.py`` only.

**Enqueue** in the transaction that causes the work; a rollback leaves nothing:

    from ratoon.platform.storage.runs import About, enqueue     # any room may; ``jobs`` re-exports it

    enqueue(records.connection, records.engine.world, "escalate", {"step": step_id},
            key=f"escalate/{step_id}", at=deadline,
            about=About(trigger="date", rule="opportunity.discount", object="opportunity", records={id: None}))

``key``: enqueued once and for all (``None`` comes back when it exists). ``at``: a durable timer by the environment's
clock; ``reschedule(connection, key, at)`` moves it, ``cancel(connection, world, key=…)`` takes it back. Nobody needs
the durable engine for this: it is one row in ``ratoon_run``.

**Do**: a kind of job is a function that gets a ``JobRun``, listed in the composition root (``app.py``) or brought by a
plugin's hook ``jobs``:

    def escalate(run: JobRun) -> None:
        def work(records: RecordService) -> None:
            ...                                    # records.create, .update …, acting for the platform
        run.once("escalate", work)                 # one transaction, with a mark: never twice

    JobType("escalate", escalate, tries=5)

A function may run again from its start: after an error, after its worker died, when an admin repeats it. What went
through ``once`` is not done again and gives the answer it gave. For what leaves the database (mails, calls) send
``run.token(step)`` along: the same for the same step of the same run, so that the receiver can tell a repetition.

It ends by returning (anything JSON: the run's result), by raising a ``RatoonError`` (tried again after 5 s, 30 s, 3
min … until ``tries`` are used up, then ``failed`` until an admin repeats it), by raising ``GiveUp`` (failed at once)
or by returning ``Again(at)`` (waits until then and starts over; what is done stays done).

**Run**: ``ratoon worker`` and the worker beside ``ratoon serve`` (``worker.py``) hand due runs to the engine. ``drain``
does what is due in this process, without the engine: for tests and one-shot commands.
"""

from ratoon.platform.jobs.kinds import Again, GiveUp, JobRun, Jobs, JobType
from ratoon.platform.jobs.running import drain, execute
from ratoon.platform.storage.runs import About, cancel, enqueue, reschedule

__all__ = [
    "About",
    "Again",
    "GiveUp",
    "JobRun",
    "JobType",
    "Jobs",
    "cancel",
    "drain",
    "enqueue",
    "execute",
    "reschedule",
]
