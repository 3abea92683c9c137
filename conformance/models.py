"""The trainings of `reference.programs.of_rules` in torch, as a tutorial writes them. Reproduction scripts print them.

Each takes x, y, the initial parameters and the number of steps, and returns every loss; then the final parameters, the
buffers, and the outputs for the samples that were held out.
"""

# mypy: ignore-errors
# (tutorials do not annotate)

from __future__ import annotations

import torch

from conformance.trainings import start_from


def two_layer(x, y, parameters, steps, name, options):
    linear = torch.nn.Linear
    model = torch.nn.Sequential(linear(200, 50, bias=False), torch.nn.ReLU(), linear(50, 10, bias=False))
    start_from(model, parameters)
    loss_fn = torch.nn.MSELoss()
    optimizer = getattr(torch.optim, name)(model.parameters(), **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        if name == "SparseAdam":
            for parameter in model.parameters():
                parameter.grad = parameter.grad.to_sparse(1)
        return loss

    for _ in range(steps):
        losses.append(optimizer.step(closure).item())
    return losses, list(model.parameters())


class LeNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 6, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(6, 16, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = torch.nn.Sequential(
            torch.nn.Linear(400, 120), torch.nn.ReLU(), torch.nn.Linear(120, 84), torch.nn.ReLU(),
            torch.nn.Linear(84, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def lenet(x, y, parameters, steps):
    model = start_from(LeNet(), parameters)
    criterion = torch.nn.CrossEntropyLoss()
    groups = [
        {"params": model.features.parameters()},
        {"params": model.classifier.parameters(), "lr": 0.002},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.001, momentum=0.9)
    count = len(x) - 400
    losses = []
    for step in range(steps):
        rows = torch.arange(4 * step, 4 * step + 4, device=x.device) % count
        optimizer.zero_grad()
        loss = criterion(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        outputs = model(x[count:])
    return losses, [*model.parameters(), outputs]


class Block(torch.nn.Module):
    def __init__(self, inside, outside, stride, way_round):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = torch.nn.BatchNorm2d(outside)
        self.conv2 = torch.nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = torch.nn.BatchNorm2d(outside)
        self.way_round = way_round

    def forward(self, x):
        inner = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(inner + self.way_round(x))


def residual(x, y, parameters, steps):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),
        Block(8, 8, 1, torch.nn.Identity()),
        Block(8, 16, 2, torch.nn.Conv2d(8, 16, 1, 2, bias=False)),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 5),
    )  # fmt: skip
    start_from(model, parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    count = len(x) - 64
    losses = []
    model.train()
    for step in range(steps):
        rows = torch.arange(16 * step, 16 * step + 16, device=x.device) % count
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        outputs = model(x[count:])
    buffers = [b for b in model.buffers() if b.is_floating_point()]
    return losses, [*model.parameters(), *buffers, outputs]


class Memory(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(12, 8)
        self.lstm = torch.nn.LSTM(8, 16, batch_first=True)
        self.head = torch.nn.Linear(16, 12)

    def forward(self, tokens):
        hidden, _ = self.lstm(self.embedding(tokens))
        return self.head(hidden).flatten(0, 1)


def lstm(x, y, parameters, steps):
    model = start_from(Memory(), parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    count = len(x) - 32
    losses = []
    for step in range(steps):
        rows = torch.arange(16 * step, 16 * step + 16, device=x.device) % count
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        outputs = model(x[count:])
    return losses, [*model.parameters(), outputs]


class Transformer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.places = torch.nn.Parameter(torch.zeros(9, 16))
        self.embedding = torch.nn.Embedding(12, 16)
        layer = torch.nn.TransformerEncoderLayer
        options = dict(dim_feedforward=32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.layers = torch.nn.ModuleList([layer(16, 2, **options) for _ in range(2)])
        self.norm = torch.nn.LayerNorm(16)
        self.head = torch.nn.Linear(16, 12)

    def forward(self, tokens):
        ahead = torch.ones(9, 9, dtype=torch.bool, device=tokens.device).triu(1)
        h = self.embedding(tokens) + self.places
        for layer in self.layers:
            h = layer(h, src_mask=ahead)
        return self.head(self.norm(h)).flatten(0, 1)


def transformer(x, y, parameters, steps):
    model = start_from(Transformer(), parameters)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=10)
    count = len(x) - 32
    losses = []
    for step in range(steps):
        rows = torch.arange(16 * step, 16 * step + 16, device=x.device) % count
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows].flatten())
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        outputs = model(x[count:])
    return losses, [*model.parameters(), outputs]
