"""A room at work: simulated learners, each with a real kernel, solve the fast track at once on one server.

    python -m tests.room.load --learners 10 30

What is simulated is the people: what they try, and how long they think. All else is real: a server of its own that asks
for passwords, a room made by the command's own code, a copy of the kit for each learner, joined with the learner's URL,
and IPython kernels. Kernels are killed in the middle of a check, transactions are abandoned, and once the server
crashes. Then `proof.py` asks what a room has to keep.
"""
