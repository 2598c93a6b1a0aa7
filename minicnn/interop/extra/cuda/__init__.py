"""`torch.cuda`."""
