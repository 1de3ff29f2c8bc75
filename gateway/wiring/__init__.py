"""The only place where ports meet adapters; it builds every process.

process.py  one gateway process from Settings: corridors, desk, workers
serving.py  its REST door
sandbox.py  two gateways, a simulated axis and a local timestamp authority
"""
