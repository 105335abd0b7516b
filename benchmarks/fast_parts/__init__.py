"""The parts of `fast.py`: what each measures stands in its own file."""
