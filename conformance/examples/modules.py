"""The classic examples in torch, as a tutorial writes them. A reproduction script prints them."""

# mypy: ignore-errors
# (tutorials do not annotate)

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


class Linear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.w = nn.Parameter(torch.randn(in_features, out_features))
        self.b = nn.Parameter(torch.randn(out_features))

    def forward(self, x):
        x = x.mm(self.w)
        return x + self.b.expand_as(x)


class Perceptron(nn.Module):
    def __init__(self, in_features, hidden_features, out_features):
        nn.Module.__init__(self)
        self.layer1 = Linear(in_features, hidden_features)
        self.layer2 = Linear(hidden_features, out_features)

    def forward(self, x):
        x = self.layer1(x)
        x = torch.sigmoid(x)
        return self.layer2(x)


def perceptron():
    return Perceptron(4, 3, 2)


def by_add_module():
    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(2, 2, 3))
    net.add_module("batchnorm", nn.BatchNorm2d(2))
    net.add_module("activation_layer", nn.ReLU())
    return net


def by_position():
    return nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.ReLU())


def by_ordered_dict():
    layers = [("conv1", nn.Conv2d(2, 2, 3)), ("bn1", nn.BatchNorm2d(2)), ("relu1", nn.ReLU())]
    return nn.Sequential(OrderedDict(layers))


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.module_list = nn.ModuleList([nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)])

    def forward(self, x):
        for model in self.module_list:
            x = model(x)
        return x


def listed():
    return Listed()


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.classifier = nn.Sequential(nn.Linear(3 * 2 * 2, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))

    def forward(self, x):
        x = self.features(x)
        x = x.reshape(-1, 3 * 2 * 2)
        return self.classifier(x)


def of_modules():
    return LeNet()


class FunctionalLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.conv2 = nn.Conv2d(2, 3, 3)
        self.fc1 = nn.Linear(12, 6)
        self.fc2 = nn.Linear(6, 5)
        self.fc3 = nn.Linear(5, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.reshape(x.size()[0], -1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def of_functions():
    return FunctionalLeNet()


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        middle = nn.Linear(4, 4)
        self.block = nn.Sequential(middle, nn.Tanh(), middle, nn.Tanh(), middle, nn.Tanh())
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.block(self.first(x)))


def shared():
    return Shared()


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inconv = nn.Conv2d(1, 2, 3, padding=1)
        self.block1 = Block(2)
        self.block2 = Block(2)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        x = self.block2(self.block1(self.inconv(x)))
        return self.head(x.mean(dim=(2, 3)))


class Captured(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Residual()

    def forward(self, x):
        features = []
        handle = self.net.block1.register_forward_hook(lambda module, args, out: features.append(out))
        out = self.net(x)
        handle.remove()
        self.net(x)
        assert len(features) == 1, f"the hook was called {len(features)} times, once before its removal"
        return out, features[0]


def captured():
    return Captured()
