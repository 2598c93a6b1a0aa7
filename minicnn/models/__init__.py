"""Networks with their weights: `tinynet("standard")` is the trained one that travels with minicnn; the others are
torchvision's, by their names, keys and shapes."""

from minicnn.models._meta import ModelMeta
from minicnn.models._registry import get_model, get_model_weights, get_weight, list_models, weights_path
from minicnn.models._spec import from_spec, provenance, raised_at
from minicnn.models._weights import Weights, WeightsEnum, imagenet_classes
from minicnn.models.alexnet import *
from minicnn.models.convnext import *
from minicnn.models.densenet import *
from minicnn.models.efficientnet import *
from minicnn.models.efficientnetlite import *
from minicnn.models.googlenet import *
from minicnn.models.inception import *
from minicnn.models.mnasnet import *
from minicnn.models.mobilenetv2 import *
from minicnn.models.mobilenetv3 import *
from minicnn.models.regnet import *
from minicnn.models.resnet import *
from minicnn.models.shufflenetv2 import *
from minicnn.models.squeezenet import *
from minicnn.models.tinynet import TinyNet, tinynet
from minicnn.models.vgg import *
