"""The parts of ``python benchmarks/classify.py``, which trains with and without mixing."""
