"""The fast kernels, each the compiled twin of a loop in `reference.py`: `minicnn.kernels.TABLE` pairs them."""
