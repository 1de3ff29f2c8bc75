"""The national document axis (VXP) over HTTP, as `vxp-protocol` describes it.

wire       their bytes: header signature, file hash, answers; pure
scan       answers and packages read piece by piece, in constant memory; pure
items      lines of their lists; pure
outcomes   what an answer or a failure means for an attempt; pure
settings   what the operator configures for one such axis
axis       we are the client (adapters.cargo: a package going out; adapters.streams: one coming in)
simulator  the axis, with faults on demand; simulator_depot takes and rebuilds (rebuild) packages,
           simulator_store remembers, simulator_directory knows who owns a code, faults go wrong
"""
