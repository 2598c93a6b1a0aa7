"""The table of changes, from 2.7 on."""

from .change import Change

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
        "name",
        "Keyword arguments of `Function.apply`; before, TypeError.",
        (
            "function.arguments_of_apply",
            "function.keyword_only_parameters_are_refused",
            "function.its_apply_may_be_overridden",
        ),
    ),
    Change(
        "2.13",
        "name",
        "A dict of inputs, such as `dict(model.named_parameters())`, for `autograd.grad`, which returns one, and `backward`.",
        ("capture.inputs_in_a_dict",),
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
        "Signatures in errors have no `names` any more: named tensors are gone.",
        ("test_memory_format.what_is_no_format",),
    ),
    Change(
        "2.13",
        "text",
        "Repairs in the errors of pack hooks that write and of post-hooks of load_state_dict that return something.",
        (
            "saved.pack_must_not_write",
            "saved.what_hooks_on_a_saved_tensor_must_not_do",
            "load_state_dict.post_hook_must_return_none_and_runs_after_a_mismatch",
            "load_state_dict.returns",
        ),
    ),
    Change(
        "2.12",
        "behaviour",
        "`mse_loss` of a float32 tensor that requires grad and a float64 one has a gradient. Before, its backward pass raised "
        "RuntimeError.",
        ("test_functional.losses_of_mixed_types",),
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
        "behaviour",
        "The searches along a line of LBFGS share the looks of `max_eval`. Before, each had 25 of its own.",
        ("test_lbfgs.with_a_line_search",),
        mirrored=True,
    ),
    Change(
        "2.10",
        "behaviour",
        "A learning rate that is a tensor stays that tensor under each schedule; before, `CosineAnnealingWarmRestarts` and "
        "`ReduceLROnPlateau` put another in its place. `get_last_lr()` copies it; before, it was the tensor itself.",
        ("test_schedulers.a_tensor_as_learning_rate_stays_that_tensor",),
    ),
    Change(
        "2.10",
        "text",
        "The error of a wrong `x.grad = ...` speaks of the new `grad_dtype`; the AssertionError of a multi-grad hook on a "
        "tensor without gradient has a text; that of a group without `initial_lr` says what to look for.",
        (
            "leaf.assigning_grad",
            "multi_grad.tensors_that_do_not_require_grad",
            "test_schedulers.going_on_from_a_step",
        ),
    ),
    Change(
        "2.9",
        "behaviour",
        "A full slice (`x[:, 1:]`) leaves no SliceBackward0 of its own in the graph.",
        ("node.names_and_shape_of_graphs",),
    ),
    Change(
        "2.9",
        "name",
        "`GradientEdge.ownership_token`.",
        ("test_edges.what_is_no_edge",),
    ),
    Change(
        "2.9",
        "warning",
        "`SequentialLR` begins its next schedule without the warning of `step(epoch)`.",
        (
            "test_schedulers.one_after_the_other",
            "test_schedulers.one_after_the_other_within_another",
            "test_schedulers.several_saved",
        ),
        mirrored=True,
    ),
    Change(
        "2.9",
        "warning",
        "LBFGS without a line search reads the loss without the warning that 2.8 brought.",
        ("test_lbfgs.without_one", "test_lbfgs.what_is_refused"),
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
        "`.grad` they see that one, so an optimizer step taken inside of the hook is taken on it again.",
        (
            "tensor.a_leaf_that_stops_requiring_grad_still_fires",
            "leaf.nothing_is_accumulated_for_a_gradient_of_none",
            "engine.a_node_without_gradient_still_passes_on",
        ),
        mirrored=True,
    ),
    Change(
        "2.8",
        "warning",
        "`float(y)` and `complex(y)` of a tensor that requires grad warn, unless under `no_grad`.",
        ("leaf.numbers_out_of_the_graph",),
        mirrored=True,
    ),
    Change(
        "2.8",
        "warning",
        "Clipping the gradients of no parameters warns, and LBFGS without a line search, which asks for `float(loss)`.",
        ("test_optim_settings.clipping", "test_lbfgs.without_one", "test_lbfgs.what_is_refused"),
    ),
    Change(
        "2.8",
        "behaviour",
        "The gradient of hardswish at -3 is 0 and at 3 it is 1. Before, it was that of the curve between them, -0.5 and 1.5.",
        ("special_points.other_corners[hardswish]",),
        mirrored=True,
    ),
    Change(
        "2.8",
        "behaviour",
        "An operation that is not there for a type of elements raises NotImplementedError, a RuntimeError as before.",
        ("special_points.a_type_that_an_operation_lacks", "test_functional.losses_of_mixed_types"),
        mirrored=True,
    ),
    Change(
        "2.8",
        "behaviour",
        "A schedule that goes on from a step (`last_epoch=`) leaves the learning rate of the group as it is. Before, it took one "
        "step at once. `MultiplicativeLR` refuses what cannot be called.",
        ("test_schedulers.going_on_from_a_step", "test_schedulers.errors"),
    ),
    Change(
        "2.8",
        "name",
        "`_is_initial` in the state of a schedule.",
        ("test_schedulers.one_after_the_other", "test_schedulers.all_at_once"),
    ),
    Change(
        "2.7",
        "behaviour",
        "An edge of the graph as a root of `backward` is looked at as a tensor is; before, a bare AssertionError.",
        ("engine.an_edge_as_a_root",),
    ),
    Change(
        "2.7",
        "name",
        "`set_submodule(strict=)`; the state of Adam and AdamW has `decoupled_weight_decay`, that of a schedule no `verbose`.",
        (
            "test_module.set_submodule",
            "test_optim_settings.saved_state",
            "test_optim_settings.saved_state_from_before_steps_were_tensors",
            "test_optim_settings.scheduler_state",
            "test_schedulers.one_after_the_other",
            "test_schedulers.all_at_once",
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
