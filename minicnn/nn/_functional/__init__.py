"""The families of `minicnn.nn.functional`, one file each."""
