"""One file per kind of server, named in `registry.py`, and what is done with all of them."""
