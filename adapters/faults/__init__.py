"""What the simulated axis does wrong, on demand.

plan      a fault, and the plan that says which of them a request meets; pure
scenario  the same written down in a file: a seed, phases, rates
gate      requests held open until a test lets them go
"""

from adapters.faults.gate import Gate
from adapters.faults.plan import KINDS, Fault, Faults
from adapters.faults.scenario import Scenario, faults_from, read_fault_file, scenario_from

__all__ = [
    "KINDS",
    "Fault",
    "Faults",
    "Gate",
    "Scenario",
    "faults_from",
    "read_fault_file",
    "scenario_from",
]
