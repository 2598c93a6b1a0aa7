"""Networks with their weights: `tinynet("standard")` is the trained one that travels with minicnn."""

from minicnn.models._meta import ModelMeta
from minicnn.models._registry import get_model, list_models, weights_path
from minicnn.models.tinynet import TinyNet, tinynet

__all__ = ["ModelMeta", "TinyNet", "get_model", "list_models", "tinynet", "weights_path"]
