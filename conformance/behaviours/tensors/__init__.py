"""Tensors: importing this registers what is promised of making, viewing, indexing and moving them."""

from conformance.behaviours.tensors import indexing as indexing
from conformance.behaviours.tensors import making as making
from conformance.behaviours.tensors import memory as memory
