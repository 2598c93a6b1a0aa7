"""Three scripts in the style in which CNNs are looked at with PyTorch, run by both libraries from the same weights.

Each is a function of the library (`torch`), the network and a photograph, and returns a picture; nothing in it knows which library it
runs under.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as pytorch

import minicnn

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def network(torch):
    """The layout of AlexNet, small: features, avgpool, classifier."""
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 16, kernel_size=11, stride=4, padding=2),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Conv2d(16, 24, kernel_size=5, padding=2),
                nn.ReLU(inplace=True),
                nn.Conv2d(24, 32, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
            )
            self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
            self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(32 * 9, 10))

        def forward(self, x):
            x = self.avgpool(self.features(x))
            return self.classifier(torch.flatten(x, 1))

    return Net()


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """{library: its network}, with the same weights, by way of a checkpoint."""
    pytorch.manual_seed(0)
    theirs, path = network(pytorch), tmp_path_factory.mktemp("scripts") / "net.pth"
    pytorch.save(theirs.state_dict(), path)
    ours = network(minicnn)
    ours.load_state_dict(minicnn.load(path))
    return {minicnn: ours, pytorch: theirs}


PHOTO = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)  # (96, 96, 3)


# --- what such scripts share ------------------------------------------------------------------------------------------


def preprocess_image(torch, image):
    array = np.float32(image).transpose(2, 0, 1) / 255
    for channel in range(3):
        array[channel] -= MEAN[channel]
        array[channel] /= STD[channel]
    tensor = torch.from_numpy(array).float()
    tensor.unsqueeze_(0)
    return torch.autograd.Variable(tensor, requires_grad=True)


def recreate_image(variable):
    array = copy.copy(variable.data.cpu().numpy()[0])
    for channel in range(3):
        array[channel] = array[channel] * STD[channel] + MEAN[channel]
    array = np.round(np.clip(array, 0, 1) * 255)
    return np.uint8(array).transpose(1, 2, 0)


# --- script one: an image that a channel likes ------------------------------------------------------------------------


class ChannelMaximizer:
    def __init__(self, torch, model, layer, channel):
        self.torch, self.model, self.layer, self.channel = torch, model, layer, channel
        self.model.eval()
        self.conv_output = 0

    def hook_layer(self):
        def hook_function(module, grad_in, grad_out):
            self.conv_output = grad_out[0, self.channel]

        return self.model.features[self.layer].register_forward_hook(hook_function)

    def visualise(self, image, steps=12):
        handle = self.hook_layer()
        processed = preprocess_image(self.torch, image)
        optimizer = self.torch.optim.Adam([processed], lr=0.1, weight_decay=1e-6)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            x = processed
            for index, layer in enumerate(self.model.features):
                x = layer(x)
                if index == self.layer:
                    break
            loss = -self.torch.mean(self.conv_output)
            losses.append(float(loss.item()))
            loss.backward()
            optimizer.step()
        handle.remove()
        return recreate_image(processed), losses


def channel(torch, model, photo):
    picture, losses = ChannelMaximizer(torch, model, layer=5, channel=7).visualise(photo)
    assert losses[-1] < losses[0]
    return picture


# --- script two: Grad-CAM ---------------------------------------------------------------------------------------------


class GradCAM:
    def __init__(self, model, target_layer):
        self.model = model.eval()
        self.activations, self.gradients = None, None
        self.handles = [
            target_layer.register_forward_hook(self.save_activation),
            target_layer.register_full_backward_hook(self.save_gradient),
        ]

    def save_activation(self, module, input, output):
        self.activations = output.clone().detach()

    def save_gradient(self, module, grad_input, grad_output):
        self.gradients = grad_output[0].detach()

    def __call__(self, torch, x, index=None):
        functional = torch.nn.functional
        output = self.model(x)
        if index is None:
            index = output.argmax(dim=1).item()
        self.model.zero_grad()
        one_hot = torch.zeros_like(output)
        one_hot[0][index] = 1
        output.backward(gradient=one_hot, retain_graph=True)
        weights = self.gradients.mean(dim=(2, 3), keepdim=True)
        cam = functional.relu((weights * self.activations).sum(dim=1, keepdim=True))
        cam = functional.interpolate(cam, size=x.shape[2:], mode="bilinear", align_corners=False)
        cam = (cam - cam.min()) / (cam.max() - cam.min() + 1e-8)
        return cam.squeeze().cpu().numpy()

    def remove(self):
        for handle in self.handles:
            handle.remove()


def grad_cam(torch, model, photo):
    cam = GradCAM(model, model.features[5])
    model.features[6].inplace = False  # the hook on the layer before it forbids writing over its output
    picture = cam(torch, preprocess_image(torch, photo))
    cam.remove()
    return np.uint8(np.round(picture * 255))


# --- script three: guided backpropagation -----------------------------------------------------------------------------


class GuidedBackprop:
    def __init__(self, torch, model):
        self.torch, self.model = torch, model.eval()
        self.forward_outputs, self.handles = [], []
        for module in self.model.modules():
            if isinstance(module, torch.nn.ReLU):
                module.inplace = False
                self.handles.append(module.register_forward_hook(self.relu_forward))
                self.handles.append(module.register_full_backward_hook(self.relu_backward))

    def relu_forward(self, module, ten_in, ten_out):
        self.forward_outputs.append(ten_out)

    def relu_backward(self, module, grad_in, grad_out):
        mask = self.forward_outputs.pop().detach().clone()
        mask[mask > 0] = 1
        return (mask * self.torch.clamp(grad_in[0], min=0.0),)

    def generate_gradients(self, x, target):
        output = self.model(x)
        self.model.zero_grad()
        one_hot = self.torch.FloatTensor(1, output.size()[-1]).zero_()
        one_hot[0][target] = 1
        output.backward(gradient=one_hot)
        return x.grad.data.numpy()[0]


def guided(torch, model, photo):
    script = GuidedBackprop(torch, model)
    gradient = script.generate_gradients(preprocess_image(torch, photo), target=3)
    for handle in script.handles:
        handle.remove()
    gradient = gradient - gradient.min()
    gradient /= gradient.max()
    return np.uint8(np.round(gradient * 255)).transpose(1, 2, 0)


# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("script", [channel, grad_cam, guided])
def test_the_pictures_are_the_same(networks, script):
    ours, theirs = (script(library, copy.deepcopy(networks[library]), PHOTO) for library in (minicnn, pytorch))
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.uint8
    assert theirs.std() > 10  # there is something in the picture
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference.max() <= 1  # of 255: rounding to 8 bits may fall on either side
    assert (difference > 0).mean() < 0.01
