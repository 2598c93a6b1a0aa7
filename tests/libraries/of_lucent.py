"""lucent (`torch-lucent`): its objectives, parametrisations and transforms, and what they render in a few steps.

Its images begin with random numbers, in whose place stand numbers of ours; its transforms draw from NumPy, whose numbers are the same.
Its images have PyTorch's default type, but for four lines that write float32 and refuse anything else: the matrix of colours
(optvis/param/color.py:24), the kernel that blurs (optvis/objectives.py:241), and what moves and turns images (optvis/transform.py:36, :80).
What runs them is in FLOAT32_INSIDE.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from tests.libraries.networks import default_type, filled, images, in_float64, small

DISTRIBUTION = "torch-lucent"
FLOAT32_INSIDE = (
    "channel, decorrelated", "pixels, decorrelated", "blur_input_each_step", "standard transforms", "jitter", "random_rotate",
    "random_rotate by radians",
)  # fmt: skip
OBJECTIVES: dict[str, Callable[[Any], Any]] = {
    "neuron": lambda o: o.neuron("net_relu3", 3),
    "neuron at a place": lambda o: o.neuron("net_conv2", 3, x=1, y=2, batch=0),
    "channel": lambda o: o.channel("net_relu3", 5),
    "neuron_weight": lambda o: o.neuron_weight("net_conv2", weights(12), x=1, y=2),
    "channel_weight": lambda o: o.channel_weight("net_conv2", weights(12)),
    "localgroup_weight": lambda o: o.localgroup_weight("net_conv2", weights(12), x=1, y=2, wx=3, wy=2),
    "direction": lambda o: o.direction("net_conv2", weights(12)),
    "direction_neuron": lambda o: o.direction_neuron("net_conv2", weights(12), x=2, y=1),
    "blur_input_each_step": lambda o: o.channel("net_conv2", 3) - 0.1 * o.blur_input_each_step(),
    "channel_interpolate": lambda o: o.channel_interpolate("net_conv2", 1, "net_conv3", 4),
    "alignment": lambda o: o.channel("net_conv2", 3) + 0.1 * o.alignment("net_conv1", decay_ratio=2),
    "diversity": lambda o: o.channel("net_conv2", 3) - 10 * o.diversity("net_conv2"),
    "labels": lambda o: o.channel("labels", 7),
    "by a text": lambda o: "net_conv2:3",
    "several": lambda o: o.channel("net_conv2", 3, batch=0) - o.neuron("net_conv1", 2, batch=1) * 2,
}


def weights(count: int) -> Any:
    import torch

    return torch.from_numpy(np.random.RandomState(4).standard_normal(count)).to(torch.get_default_dtype())


def exact() -> AbstractContextManager[None]:
    """float64 in the lines of FLOAT32_INSIDE, too. What these import makes its constants before, in PyTorch's usual type."""
    from lucent.optvis import transform  # noqa: F401
    from lucent.optvis.param import color

    return in_float64((color, "color_correlation_normalized"))


def network(dtype: Any) -> Any:
    """The small network, which computes in its type what it gets, and answers in the type that it got."""
    import torch

    class Widened(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small(dtype)

        def forward(self, x: Any) -> Any:
            return self.net(x.to(dtype)).to(x.dtype)

    return Widened().eval()


def painted(**how: Any) -> Any:
    """Its image, of numbers of ours: of a plain one all windows of a pool are equal."""
    import torch
    from lucent.optvis import param

    parameters, image = param.image(28, 36, **how)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(torch.from_numpy(np.random.RandomState(6).standard_normal(tuple(parameter.shape))))
    return parameters, image


def render(
    build: Callable[[Any], Any], dtype: Any, float32: bool = False, transforms: Any = (), steps: int = 3, **image: Any
) -> list[Any]:
    """The images after some steps; `float32` leaves them in float32, whatever the network's type."""
    import torch
    from lucent.optvis import objectives, render, transform

    np.random.seed(0)  # noqa: NPY002  (what its transforms draw from)
    chosen = transform.standard_transforms if transforms == "standard" else list(transforms)
    with nullcontext() if float32 else default_type(dtype):
        found = render.render_vis(
            network(dtype), build(objectives), partial(painted, **{"batch": 2, "decorrelate": False, **image}),
            optimizer=lambda params: torch.optim.SGD(params, lr=20.0), transforms=chosen, thresholds=(1, steps), progress=False,
            show_image=False, fixed_image_size=(32, 40),
        )  # fmt: skip
    return [torch.from_numpy(np.asarray(one)) for one in found]


def with_adam(dtype: Any) -> list[Any]:
    """With its own optimizer, whose steps do not depend on the gradient's size."""
    import torch
    from lucent.optvis import objectives, param, render

    found = render.render_vis(
        network(dtype), objectives.channel("net_conv2", 3), partial(param.image, 28, 36, fft=False, decorrelate=False),
        transforms=[], thresholds=(0,), progress=False, show_image=False,
    )  # fmt: skip
    return [torch.tensor([len(found)])]


def parametrisation(dtype: Any) -> list[Any]:
    """A network that paints, and a coarse tensor that is resized: the images, and the gradients of their numbers."""
    from lucent.optvis import param

    with default_type(dtype):
        return parametrised(param)


def parametrised(param: Any) -> list[Any]:
    import torch

    found = []
    for parameters, image in (
        param.cppn(24, num_hidden_channels=6, num_layers=4),
        param.cppn(24, num_hidden_channels=6, num_layers=3, normalize=True),
        param.lowres_tensor((2, 3, 24, 30), (1, 3, 8, 10)),
        param.lowres_tensor((2, 3, 24, 30), (2, 3, 6, 10), offset=[2, 1, 2, 1]),
        param.image(20, 25, channels=2),
    ):
        parameters = list(parameters)
        with torch.no_grad():
            for k, parameter in enumerate(parameters):
                numbers = np.random.RandomState(k).standard_normal(tuple(parameter.shape)) * 0.3
                parameter.copy_(torch.from_numpy(numbers))
        made = image()
        (made * torch.linspace(0, 1, made.shape[-1])).sum().backward()
        found += [
            made,
            *(parameter.grad for parameter in parameters if parameter.dim() > 1),
        ]  # a bias before a norm has none
    return found


def transformed(name: str, dtype: Any, *args: Any, **how: Any) -> list[Any]:
    """Two images, and the gradient to them; in float32 whatever the type, where it takes nothing else."""
    import torch
    from lucent.optvis import transform

    np.random.seed(1)  # noqa: NPY002
    x = images(torch.get_default_dtype() if name in FLOAT32_INSIDE else dtype).requires_grad_()
    made = getattr(transform, name)(*args, **how)(x)
    (made * torch.linspace(0, 1, made.shape[-1], dtype=dtype)).sum().backward()
    return [made, x.grad]


def inception(dtype: Any) -> list[Any]:
    """The network that it brings, with numbers of ours, and the gradient to an image."""
    from lucent.modelzoo import inceptionv1
    from lucent.modelzoo.util import get_model_layers

    model = filled(inceptionv1(pretrained=False), dtype)
    assert "mixed4a_1x1_pre_relu_conv" in get_model_layers(model)
    x = images(dtype, (224, 224))[:1].requires_grad_()
    answer = model(x)
    answer.pow(2).sum().backward()
    return [answer, x.grad]


def cases() -> dict[str, Callable]:
    found: dict[str, Callable] = {
        name: partial(render, build, float32=name in FLOAT32_INSIDE) for name, build in OBJECTIVES.items()
    }
    channel = OBJECTIVES["channel"]
    found["pixels"] = partial(render, channel, fft=False)
    found["channel, decorrelated"] = partial(render, channel, float32=True, decorrelate=True)
    found["pixels, decorrelated"] = partial(render, channel, float32=True, decorrelate=True, fft=False)
    found["standard transforms"] = partial(
        render, OBJECTIVES["neuron at a place"], float32=True, decorrelate=True, transforms="standard"
    )
    found["one step of Adam"] = with_adam
    found["param"] = parametrisation
    found["pad"] = lambda dtype: transformed("pad", dtype, 3)
    found["pad with a number"] = lambda dtype: transformed("pad", dtype, 3, mode="constant")
    found["random_scale"] = lambda dtype: transformed("random_scale", dtype, [0.8, 1.1, 1.3])
    found["random_rotate"] = lambda dtype: transformed("random_rotate", dtype, [-12, 7, 30])
    found["random_rotate by radians"] = lambda dtype: transformed("random_rotate", dtype, [0.4, 0.5], units="rads")
    found["normalize"] = lambda dtype: transformed("normalize", dtype)
    found["preprocess_inceptionv1"] = lambda dtype: transformed("preprocess_inceptionv1", dtype)
    found["jitter"] = lambda dtype: transformed("jitter", dtype, 4)
    found["inceptionv1"] = inception
    return found
