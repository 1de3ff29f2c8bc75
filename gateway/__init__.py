"""The edoc gateway. The tour is written here once the house stands."""
