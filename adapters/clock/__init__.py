"""The machine's clock as others keep it: whether its time is synchronised.

kernel      adjtimex(2), read only: ports.SyncSource for Linux, needs no rights
"""
