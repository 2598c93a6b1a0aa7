"""What changed in PyTorch, in words: the table behind `python -m tests.hooks --changes` and HOOKS.md.

Where logs of two versions in a row differ, a line of this table says why, and each line is about such a difference
(`test_recorded.py`). A change that is `mirrored` is one that `minicnn.utils.hooks.mirror` switches; one that is `ahead` is
newer than the version that minicnn follows, and there all the same, whatever is mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass

from .catalogue import Scenario

BASE = "2.13.0"  # what minicnn follows unless `mirror` says otherwise
KINDS = {
    "behaviour": "other hooks run, in another order or with other values",
    "warning": "a warning comes, goes or is of another kind",
    "name": "something new, or gone",
    "text": "the words of an error, a warning or a repr",
}


@dataclass(frozen=True)
class Change:
    since: str  # the first minor release that has it
    kind: str  # one of KINDS
    text: str
    rules: tuple[str, ...]  # that show it: see `covers`
    mirrored: bool = False
    ahead: bool = False

    def concerns(self, scenario: Scenario) -> bool:
        return any(covers(rule, scenario) for rule in self.rules)

    def between(self, older: str, newer: str) -> bool:
        """Whether it came after the one version and not after the other."""
        return minor(older) < minor(self.since) <= minor(newer)

    def parts_from(self, version: str) -> bool:
        """Whether minicnn, mirroring this version, is on the other side of it all the same."""
        followed = self.ahead or minor(self.since) <= minor(BASE)
        return not self.mirrored and followed != (minor(self.since) <= minor(version))


def covers(rule: str, scenario: Scenario) -> bool:
    """Whether the scenario is of this group ("leaf."), this rule with all its cases, or this case ("rule[case]")."""
    name = str(scenario)
    return name.startswith(rule) if rule.endswith(".") else rule in (name, name.split("[")[0])


def minor(version: str) -> tuple[int, int]:
    major, second = version.split(".")[:2]
    return int(major), int(second)


CHANGES = (
    Change(
        "2.14",
        "behaviour",
        "The gradient of clamp, clip, clamp_min and clamp_max exactly at a bound that is a number is 0, before 1. At a bound "
        "that is a tensor input and bound get half of it each, before the input all. For NaN it is 1 with a tensor, before 0.",
        ("special_points.clamp_at_a_bound", "special_points.clamp_at_a_tensor_bound"),
        mirrored=True,
    ),
    Change(
        "2.14",
        "behaviour",
        "The gradients of fmax and fmin are those of maximum and minimum: half to each of equals, the whole to both where one is "
        "NaN. Before, the one that was chosen had it all, of equals the first.",
        ("special_points.fmax_and_fmin",),
        mirrored=True,
    ),
    Change(
        "2.14",
        "behaviour",
        "`LPPool2d(0, ...)` and `lp_pool2d` with the norm 0 raise ValueError; before, ZeroDivisionError, and only in the call.",
        ("special_points.the_norm_zero",),
        mirrored=True,
    ),
    Change(
        "2.14",
        "behaviour",
        "Minus with bool tensors raises NotImplementedError, a RuntimeError as before; `Softmax(dim=)` and `LogSoftmax(dim=)` "
        "refuse what is neither None nor an int, and a bool.",
        (
            "special_points.minus_with_booleans",
            "special_points.the_dim_of_a_softmax_layer",
            "test_functional.losses_of_mixed_types",
        ),
        mirrored=True,
    ),
    Change(
        "2.14",
        "warning",
        "The warning of full backward hooks without an input gradient comes only if a full backward hook is set, its own or a "
        "global one. Before, a pre-hook alone was enough for it.",
        ("backward_silent.only_a_pre_hook_warns_too",),
        mirrored=True,
    ),
    Change(
        "2.14",
        "name",
        "`autograd.graph.node_creation_hook` and `ctx.set_output_grad_dtype`.",
        (
            "names.import_paths[autograd.graph]",
            "creating.",
            "function.the_type_of_gradients_for_backward",
            "function.the_type_of_gradients_is_set_once",
        ),
        ahead=True,
    ),
    Change(
        "2.14",
        "behaviour",
        "`torch.load(weights_only=True)` reads subclasses of list, and built-in exceptions, that `safe_globals` or "
        "`add_safe_globals` names. Before, it refused them all the same.",
        ("files.subclasses_of_list[list]", "files.subclasses_of_list[nested]", "files.exceptions"),
        ahead=True,
    ),
    Change(
        "2.14",
        "name",
        "`LBFGS(maximize=)`; its step without parameters returns what the closure does.",
        ("special_points.lbfgs_goes_up",),
        ahead=True,
    ),
    Change(
        "2.13",
        "behaviour",
        "The node of a Function of one's own, and of the identity around a module with full backward hooks, answers `name()`, "
        "`next_functions` and the rest for as long as it is held. Before, it raised once its output was gone.",
        ("inplace.one_kind_of_hook_is_enough",),
    ),
    Change(
        "2.13",
        "behaviour",
        "`autograd.grad(loss, [])` raises RuntimeError, before ValueError.",
        ("capture.what_is_refused_of_inputs",),
        mirrored=True,
    ),
    Change(
        "2.13",
        "text",
        "Errors of writes in place name the operation without its ending: `Sigmoid`, before `SigmoidBackward0`.",
        ("inplace.", "saved.what_a_freed_graph_refuses"),
        mirrored=True,
    ),
    Change(
        "2.13",
        "text",
        "The error of an unused input says which one it is.",
        ("engine.errors_of_backward", "capture.unused_inputs", "capture.what_is_refused_of_inputs"),
        mirrored=True,
    ),
    Change(
        "2.13",
        "text",
        "Repairs in the errors of pack hooks that write and of post-hooks of load_state_dict that return something.",
        (
            "saved.pack_must_not_write",
            "load_state_dict.post_hook_must_return_none_and_runs_after_a_mismatch",
            "load_state_dict.returns",
        ),
    ),
    Change(
        "2.12",
        "text",
        "Errors of batch norm's eps, of a loss's target and of resizing with antialias.",
        (
            "test_functional.normalization_refuses",
            "test_functional.classification_losses_refuse",
            "test_functional.interpolate_refuses",
        ),
    ),
    Change("2.11", "name", "`Module.modules(remove_duplicate)`.", ("test_module.walking",)),
    Change(
        "2.11",
        "text",
        "The hint at anomaly detection ends in `check_nan=False`; Hardtanh with crossed bounds says so; an empty line in "
        "`extra_repr` stays empty.",
        (
            "inplace.a_tensor_needed_for_the_gradient",
            "inplace.hooks_that_write_in_place",
            "saved.what_a_freed_graph_refuses",
            "test_functional.windows",
            "test_functional.activations_in_place",
            "test_module.own_module_prints",
        ),
    ),
    Change(
        "2.10",
        "behaviour",
        "Batch norm refuses eps=0.",
        ("test_functional.normalization_refuses",),
    ),
    Change(
        "2.10",
        "text",
        "The error of a wrong `x.grad = ...` speaks of the new `grad_dtype`; the AssertionError of a multi-grad hook on a "
        "tensor without gradient has a text.",
        ("leaf.assigning_grad", "multi_grad.tensors_that_do_not_require_grad"),
    ),
    Change(
        "2.9",
        "behaviour",
        "A full slice (`x[:, 1:]`) leaves no SliceBackward0 of its own in the graph.",
        ("node.names_and_shape_of_graphs",),
    ),
    Change(
        "2.9",
        "text",
        "The warning of reading `.grad` of a tensor that is not a leaf; the error of paddings that do not fit.",
        ("tensor.on_a_view_whose_base_was_written", "leaf.grad_of_a_non_leaf", "test_functional.pad"),
    ),
    Change(
        "2.8",
        "warning",
        "A full backward hook, or a pre-hook, of a module none of whose inputs requires grad warns at each backward pass.",
        (
            "backward.",
            "backward_returns.return_without_an_input_gradient",
            "backward_returns.return_of_a_pre_hook_without_an_input_gradient",
            "backward_silent.",
            "inplace.one_kind_of_hook_is_enough",
        ),
        mirrored=True,
    ),
    Change(
        "2.8",
        "behaviour",
        "Post-accumulate-grad hooks fire although the leaf got no gradient in this pass. With an older gradient still in "
        "`.grad` they see that one, so an optimiser step taken inside of the hook is taken on it again.",
        (
            "tensor.a_leaf_that_stops_requiring_grad_still_fires",
            "leaf.nothing_is_accumulated_for_a_gradient_of_none",
            "engine.a_node_without_gradient_still_passes_on",
        ),
        mirrored=True,
    ),
    Change(
        "2.7",
        "name",
        "`set_submodule(strict=)`; the state of AdamW has `decoupled_weight_decay`, that of a schedule no `verbose`.",
        ("test_module.set_submodule", "test_optim_settings.saved_state", "test_optim_settings.scheduler_state"),
    ),
    Change(
        "2.8",
        "warning",
        "Clipping the gradients of no parameters warns.",
        ("test_optim_settings.clipping",),
    ),
    Change(
        "2.6",
        "behaviour",
        "`torch.load(f)` refuses whole modules, with their hooks: `weights_only=True` is the default. Before, it read them, since "
        "2.4 with a warning.",
        ("files.what_load_refuses[nothing said]",),
    ),
    Change(
        "2.6",
        "name",
        "`register_module_forward_hook(with_kwargs=)`; names of parameters in optimisers; `mse_loss(weight=)`.",
        (
            "forward.global_forward_hook_with_kwargs",
            "always_call.rescue_calls_global_kwargs_hook_without_kwargs",
            "handles.global_kwargs_flag_stays",
            "names.the_global_dictionaries",
            "names.signatures",
            "test_functional.distance_losses",
            "test_optim_settings.groups",
        ),
    ),
    Change(
        "2.5",
        "behaviour",
        "A multi-grad hook on a tensor that does not require grad raises AssertionError, before RuntimeError.",
        ("multi_grad.tensors_that_do_not_require_grad",),
    ),
    Change(
        "2.5",
        "name",
        "`Module.register_state_dict_post_hook` and `register_load_state_dict_pre_hook` without an underscore; `nn.Buffer`; "
        "`Module.set_submodule`.",
        (
            "state_dict.",
            "load_state_dict.",
            "handles.every_register_function_returns_one",
            "copying.state_dict_hooks_are_copied",
            "names.signatures",
            "test_module.set_submodule",
            "test_module.buffer",
        ),
    ),
    Change(
        "2.5",
        "text",
        "Errors of a buffer of another type, of a learning rate of several elements and of `one_hot`.",
        (
            "test_module.reassignment_of_another_type",
            "test_optim_settings.settings_out_of_range",
            "test_functional.one_hot",
        ),
    ),
    Change(
        "2.4",
        "warning",
        "Warnings of legacy backward hooks and of other old ways are FutureWarnings, before UserWarnings.",
        (
            "forward_pre.no_check_that_a_hook_is_callable",
            "legacy.",
            "test_functional.activations_in_place",
            "test_state_dict.own_destination_and_positional_arguments",
        ),
        mirrored=True,
    ),
    Change(
        "2.4",
        "warning",
        "A tensor hook marked with `unserializable_hook` is dropped by pickling without a warning. Before, the mark had no "
        "effect.",
        ("handles.warn_if_has_hooks", "copying.pickling_a_hooked_tensor_warns"),
        mirrored=True,
    ),
    Change(
        "2.4",
        "name",
        "The class of a multi-grad hook's handle, `_MultiHandle`.",
        (
            "multi_grad.copies_of_the_handle",
            "multi_grad.no_tensors",
            "multi_grad.the_handle",
            "handles.every_register_function_returns_one",
            "names.import_paths",
        ),
    ),
    Change(
        "2.4",
        "behaviour",
        "Hardtanh refuses crossed bounds when it is called; SGD without momentum keeps no state.",
        ("test_functional.activations_in_place", "test_optim_settings.hooks"),
    ),
    Change(
        "2.4",
        "text",
        "Errors of empty inputs; deprecated names between backquotes; unexpected keys of submodules are listed.",
        (
            "engine.errors_of_backward",
            "capture.what_is_refused_of_inputs",
            "test_functional.interpolate_accepts",
            "test_optim_settings.scheduler_errors",
            "test_optim_settings.clipping",
            "test_state_dict.own_destination_and_positional_arguments",
            "test_state_dict.missing_and_unexpected",
        ),
    ),
    Change(
        "2.3",
        "behaviour",
        "What a full backward pre-hook returns replaces the gradient, and is checked, although no input requires grad. Before, "
        "the hooks saw it, but the old gradient flowed on.",
        ("backward_returns.return_of_a_pre_hook_without_an_input_gradient",),
        mirrored=True,
    ),
    Change(
        "2.3",
        "behaviour",
        "A hook that is registered after the tensor was written through a view is at the tensor's new node. Before, it went to "
        "the old one if that had a hook already: it fired late, with the gradient of the value before the write.",
        ("engine.in_place_operations_in_the_order",),
    ),
    Change(
        "2.3",
        "name",
        "`register_multi_grad_hook(mode=)`.",
        (
            "multi_grad.any",
            "multi_grad.modes",
            "multi_grad.no_tensors",
            "multi_grad.tensors_that_do_not_require_grad",
            "names.signatures",
        ),
    ),
    Change(
        "2.3",
        "behaviour",
        "`load_state_dict(assign=True)` keeps `requires_grad` of the parameter that was there.",
        ("test_state_dict.assign",),
    ),
    Change(
        "2.3",
        "text",
        "Errors of Linear and of pooling; `fused` among the settings that an optimiser prints.",
        (
            "test_functional.linear_refuses",
            "test_functional.pooling_refuses",
            "test_optim_settings.groups",
            "test_optim_settings.hooks",
        ),
    ),
    Change(
        "2.2",
        "behaviour",
        "A namedtuple that goes through a module with full backward hooks stays one, before it became a tuple; another subclass "
        "of tuple whose constructor takes one argument raises TypeError.",
        (
            "backward_silent.output_types",
            "backward_silent.tuple_subclass_with_one_argument",
            "always_call.after_failure_in_the_wrapping_for_backward_hooks",
        ),
        mirrored=True,
    ),
    Change(
        "2.2",
        "behaviour",
        "A second backward pass through `mean` is allowed.",
        ("saved.what_a_freed_graph_refuses",),
    ),
    Change(
        "2.2",
        "text",
        "Errors of resizing, of parameter groups and of schedules.",
        ("test_functional.interpolate_refuses", "test_optim_settings.groups", "test_optim_settings.scheduler_errors"),
    ),
    Change(
        "2.1",
        "behaviour",
        "Linear packs its input before its weight; a reshape that is a view leaves a ViewBackward0, before a ReshapeAliasBackward0.",
        (
            "saved.with_module_hooks",
            "node.names_and_shape_of_graphs",
        ),
    ),
    Change(
        "2.1",
        "name",
        "`Tensor.register_post_accumulate_grad_hook`.",
        (
            "backward.",
            "tensor.",
            "leaf.",
            "node.hooks_of_an_accumulator",
            "engine.",
            "capture.",
            "handles.one_counter_for_all_kinds",
            "copying.deepcopy_of_tensors",
            "names.signatures",
        ),
    ),
    Change(
        "2.1",
        "name",
        "`always_call=` of forward hooks.",
        (
            "always_call.",
            "handles.remove_twice_and_after_the_module_died",
            "copying.deepcopy_and_pickle_keep_flags",
            "copying.setstate_adds_missing_dictionaries",
            "names.",
        ),
    ),
    Change(
        "2.2",
        "name",
        "`autograd.graph.GradientEdge` and `get_gradient_edge`.",
        ("node.gradient_edges", "names.import_paths"),
    ),
    Change(
        "2.1",
        "name",
        "`autograd.grad(materialize_grads=)`; `load_state_dict(assign=)`; hooks on an optimiser's state_dict.",
        (
            "engine.errors_of_backward",
            "registration.when_registration_hooks_do_not_run",
            "copying.parameter_hooks_are_not_copied_and_survive_double",
            "test_optim_settings.hooks",
            "test_state_dict.assign",
        ),
    ),
    Change(
        "2.1",
        "name",
        "A handle holds several dictionaries of flags (`extra_dict_ref`), before at most one.",
        (
            "handles.what_a_handle_holds",
            "handles.unpickled_handle_raises_the_counter",
            "handles.the_state_of_a_handle",
            "handles.making_a_handle_by_hand",
            "copying.handle_alone_dies_under_copy_and_pickle",
        ),
    ),
    Change(
        "2.1",
        "warning",
        "InstanceNorm without parameters warns of channels that do not fit its `num_features`.",
        ("test_functional.instance_norm",),
    ),
    Change(
        "2.1",
        "text",
        "Errors of Linear, of normalization, padding, resizing and Softmax2d, of a parameter group that is no dict and of "
        "deepcopy of a tensor in a graph.",
        (
            "copying.a_stored_graph_tensor_breaks_deepcopy",
            "test_functional.linear_refuses",
            "test_functional.normalization_refuses",
            "test_functional.pad",
            "test_functional.interpolate_refuses",
            "test_functional.softmax_dimension",
            "test_optim_settings.groups",
        ),
    ),
)

# What changed in what minicnn does not have, and no rule can show.
TOLD = (
    (
        "2.14",
        "`torch.load(weights_only=True)` looks at the indices of sparse tensors, and warns (UserWarning) that it does; before, "
        "it read them in silence, as `weights_only=False` does still. minicnn refuses sparse tensors by name.",
    ),
    (
        "2.14",
        "`Function.apply` is built in: `inspect.signature` raises ValueError, `inspect.ismethod` is False. In minicnn it is a "
        "method of the class.",
    ),
    (
        "2.14",
        "`torch.utils.checkpoint.checkpoint(use_reentrant=False)` without a function is a decorator; selective checkpointing "
        "inside of `saved_tensors_hooks` warns (FutureWarning).",
    ),
    ("2.13", "Named tensors are gone: `names`, `align_to`, `rename` and their like."),
)
