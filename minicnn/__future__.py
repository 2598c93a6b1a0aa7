"""`torch.__future__`: what converting and loading a module does with its parameters. For all threads, as in PyTorch."""

_overwrite = False
_swap = False


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """True: `module.double()`, `module.to(...)` give a module new parameters. False, as at the start: the parameters stay
    the objects that they are, with new data."""
    global _overwrite
    _overwrite = value


def get_overwrite_module_params_on_conversion() -> bool:
    """What `set_overwrite_module_params_on_conversion` has set."""
    return _overwrite


def set_swap_module_params_on_conversion(value: bool) -> None:
    """True: `module.double()`, `module.to(...)` and `load_state_dict` make new tensors, and let each exchange all that it
    is with the old one (`utils.swap_tensors`): the object stays, its hooks and notes go. Comes before overwriting."""
    global _swap
    _swap = value


def get_swap_module_params_on_conversion() -> bool:
    """What `set_swap_module_params_on_conversion` has set."""
    return _swap
