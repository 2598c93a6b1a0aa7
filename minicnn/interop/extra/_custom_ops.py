"""Imported by torchvision, and used for nothing."""
