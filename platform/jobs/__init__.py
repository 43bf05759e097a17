"""Work after the commit: the place where the durable engine will live.

Step 15 of the order of execution calls ``Reactions.enqueue`` inside the transaction with everything that was touched;
nothing is enqueued yet.
"""
