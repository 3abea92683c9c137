"""Layers: one file per family. Importing this package registers every layer."""

import importlib
import pkgutil

from reference.nn.layer import LAYERS as LAYERS

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
