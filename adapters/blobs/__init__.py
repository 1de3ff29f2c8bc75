"""Where packages and raw arrivals lie: content-addressed, written once, never changed."""
