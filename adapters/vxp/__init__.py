"""The national document axis (VXP) over HTTP, as `vxp-protocol` describes it.

wire       their bytes: header signature, file hash, answers; pure
scan       answers and packages read piece by piece, in constant memory; pure
outcomes   what an answer or a failure means for an attempt; pure
settings   what the operator configures for one such axis
axis       we are the client
simulator  the axis, with faults on demand (simulator_store, rebuild, faults belong to it)
"""
