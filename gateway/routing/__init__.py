"""Where a document goes: agency codes + a day -> one route for each axis, and why.

In:     the directory of agencies and the ordered routes, both parsed from conf/.
Out:    RoutePlan: AxisRoutes and findings; Agency entries under either written form of a code.
Fails:  Misconfigured, when the directory or the routes contradict themselves.
Never:  guesses: an unknown agency, a closed one, or one without a route is a finding, and one
        receiver without a route refuses the whole submission (architecture 4).
Next:   packing writes one package for each AxisRoute.
"""

from gateway.routing.directory import (
    Directory,
    agency_json,
    load_agencies,
    not_in_directory,
)
from gateway.routing.plan import LOOPBACK, Explanation, Route, RoutePlan, RoutingTable

__all__ = [
    "LOOPBACK",
    "Directory",
    "Explanation",
    "Route",
    "RoutePlan",
    "RoutingTable",
    "agency_json",
    "load_agencies",
    "not_in_directory",
]
