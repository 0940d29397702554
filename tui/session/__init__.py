"""One head-to-head, live or replayed: lanes and load, the state of both lanes, and the view of it."""
