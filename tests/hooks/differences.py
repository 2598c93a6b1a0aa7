"""What is known to differ from PyTorch 2.13.0 around hooks, each with its reason. Everything else is to be equal.

Not here: what minicnn does not have at all (`create_graph=True`, `torch.func`, other devices), which says so.
"""

DIFFERENCES = {
    "One case of hooks on views": (
        "PyTorch ends its process in it (every version tried, 2.0.1 to 2.14.1); minicnn answers it. It is not shown here."
    ),
    "Whether a gradient is a view, and its `_version`": (
        "PyTorch's formulas decide it (the gradient of a sum is an expanded view; gradients that meet may be added up in "
        "place), and minicnn's are others. Numbers, shapes, dtypes and what a write into a gradient does agree."
    ),
    "Which tensors `saved_tensors_hooks` are given, and in which order": (
        "The order is open in PyTorch too. minicnn keeps indices, conditions and batch statistics as arrays on the node, "
        "which are freed with the graph as saved tensors are, but are not packed."
    ),
    "Attributes on a built-in node": (
        "`y.grad_fn.mine = 5` works here, since a node is a Python object; PyTorch's are C++ objects and refuse. "
        "`node.metadata` is the place for notes in both."
    ),
    "Tensors that were swapped": (
        "PyTorch's `swap_tensors` leaves the dictionary of hooks at the object, and the list that runs them at the memory that "
        "has gone: a hook that is registered later on a tensor that had one never runs. Here it runs. A parameter that a graph "
        "has saved cannot be swapped in PyTorch, which counts references; here the backward pass of that graph is refused."
    ),
    "The texts of warnings": (
        "PyTorch adds '(Triggered internally at ...)' to warnings that come from its C++ files. There is no such place here."
    ),
    "The order of several leaves of one node": (
        "Equal up to eight (`engine.several_leaves_of_one_node`): a detail of the C++ library that PyTorch was built with, "
        "copied so that logs can be compared, and promised by neither."
    ),
}
