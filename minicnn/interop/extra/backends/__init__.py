"""`torch.backends`: what the libraries under PyTorch can do. None of them is here."""
