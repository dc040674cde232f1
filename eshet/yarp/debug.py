"""Diagnostics of the graph: parts of it as data and as drawings, and the steps of transactions."""

from eshet.reactive.core.tracing import Step, Watching, on_transaction
from eshet.reactive.graph_view import Edge, GraphView, NodeView, graph

__all__ = ["Edge", "GraphView", "NodeView", "Step", "Watching", "graph", "on_transaction"]
