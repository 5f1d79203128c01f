"""Networks: one drawer per network (`config.py`, `network.py`), `shared` layers, a `registry`."""
