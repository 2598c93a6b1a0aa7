"""Looking inside: filters as pictures, feature maps through hooks, images that maximise a unit.

A layer is called by its dotted name. A module that one forward pass calls several times (one `self.pool`, one `self.relu`, tied
convolutions) means its first call; "pool#2" is the second, and the pattern "pool#*" is every call: so in all functions here and in
the atlas. A network that returns a tuple or a dict is given one output by `choose_output`.

Everything that draws returns a `matplotlib.figure.Figure` and neither shows nor writes it: `figure.savefig("name.png")`.
"""

from minicnn.viz.ablation import Ablation, ablated, ablation
from minicnn.viz.activation_grid import ActivationGrid, activation_grid
from minicnn.viz.activity import Activity, LayerActivity, activity
from minicnn.viz.adversarial import Adversarial, LayerChange, adversarial
from minicnn.viz.answers import Answers, answers
from minicnn.viz.attribution import (
    AttributionWarning,
    deconvnet,
    grad_cam,
    gradient,
    guided_backprop,
    integrated_gradients,
    occlusion,
    saliency,
    score,
    smooth_grad,
)
from minicnn.viz.confusion import Confusion, Mistake, confusion
from minicnn.viz.cues import CHANGES, Cues, cues, grey, phase_scrambled, shuffled
from minicnn.viz.diversity import Diverse, diverse, similarity
from minicnn.viz.dream import Dream, Energy, dream
from minicnn.viz.expanded import ExpandedWeights, expanded_weights, linearized
from minicnn.viz.explain import Explanation, explain_input_gradient, explain_pixel, explain_weight_gradient
from minicnn.viz.feature_maps import maps_of
from minicnn.viz.figures.adversarial import draw_adversarial
from minicnn.viz.figures.answers import draw_picture_map
from minicnn.viz.figures.attribution import draw_attribution, draw_sanity
from minicnn.viz.figures.cues import draw_cues
from minicnn.viz.figures.feature_maps import draw_maps, draw_overlay, draw_strip
from minicnn.viz.figures.filters import draw_filters, draw_kernels
from minicnn.viz.figures.overview import draw_overview
from minicnn.viz.figures.plot import draw_rows, plain_figure, sample_photo
from minicnn.viz.figures.top_patches import draw_receptive_fields
from minicnn.viz.filter_report import FilterReport, filter_report
from minicnn.viz.filters import dead_filters, filter_tiles, weight_of
from minicnn.viz.gabor import GaborFit, fit_gabor, noise_r2, principal_kernels
from minicnn.viz.geometry import Axis, Field, receptive_fields
from minicnn.viz.growth import FilterGrowth, filter_growth
from minicnn.viz.image import fit, frame, load_image, preprocess, statistics, to_pixels
from minicnn.viz.inversion import Inverted, Match, invert
from minicnn.viz.ladder import Ladder, ladder, standard_variants
from minicnn.viz.maximize import ActivationWarning, Maximized, activation, maximize
from minicnn.viz.network import StopForward, capture, choose_output
from minicnn.viz.objectives import Direction, Unit, logit
from minicnn.viz.parts import (
    L2,
    PENALTIES,
    TRANSFORMS,
    Affine,
    Blur,
    Diversity,
    FixedMagnitude,
    Fourier,
    Jitter,
    Pad,
    Pixels,
    Roll,
    TotalVariation,
)
from minicnn.viz.patch_pca import component_energy, patch_components
from minicnn.viz.relu import relu_rule
from minicnn.viz.running_histogram import Histogram
from minicnn.viz.sanity import SanityCheck, rank_correlation, sanity_check, ssim
from minicnn.viz.sources import sample_folder, sample_labels
from minicnn.viz.spectrum import fine_share, mean_magnitude, natural_magnitude, radial_spectrum
from minicnn.viz.top_patches import Patch, TopPatches, UnitPatches, top_patches
