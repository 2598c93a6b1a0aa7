"""Other people's libraries: minicnn in PyTorch's place for what is imported next (`minicnn.as_torch`).

`alias.py` is the mechanism. What a module named `torch.x` holds is, in this order,

* `extra/x.py`: what minicnn answers in a small way, and only under that name: `torch.jit.script` gives the function back;
* `minicnn.x`: the real thing;
* `names.txt`: the names that PyTorch has and minicnn has not (`absent.py`): they can be named, and say so when called.
"""

from minicnn.interop.alias import as_torch

__all__ = ["as_torch"]
