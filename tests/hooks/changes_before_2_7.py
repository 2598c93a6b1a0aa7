"""The table of changes, up to 2.6."""

from .change import Change

CHANGES = (
    Change(
        "2.6",
        "behaviour",
        "`torch.load(f)` refuses whole modules, with their hooks: `weights_only=True` is the default. Before, it read them, since "
        "2.4 with a warning. In minicnn it is the default whatever is mirrored.",
        ("files.what_load_refuses[nothing said]",),
    ),
    Change(
        "2.6",
        "behaviour",
        "`ReduceLROnPlateau` takes a group that came later, or says what to do. A `ChainedScheduler` may be a part of a "
        "`SequentialLR`.",
        (
            "test_schedulers.plateau_and_a_group_that_came_later",
            "test_schedulers.one_after_the_other_within_another",
        ),
    ),
    Change(
        "2.6",
        "warning",
        "Losses of float16 do not warn that they may be slow.",
        ("test_functional.losses_of_mixed_types",),
    ),
    Change(
        "2.6",
        "text",
        "A blank in the warning of a Function that is instantiated.",
        ("function.it_is_not_instantiated",),
    ),
    Change(
        "2.6",
        "name",
        "`register_module_forward_hook(with_kwargs=)`; names of parameters in optimizers; `mse_loss(weight=)` and its siblings.",
        (
            "forward.global_forward_hook_with_kwargs",
            "always_call.rescue_calls_global_kwargs_hook_without_kwargs",
            "handles.global_kwargs_flag_stays",
            "names.the_global_dictionaries",
            "names.signatures",
            "test_functional.distance_losses",
            "test_functional.probability_losses_refuse",
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
            "test_module.a_buffer_is_a_marked_tensor",
        ),
    ),
    Change(
        "2.5",
        "name",
        "An edge of the graph as a root of `backward` and `grad`; `Node._input_metadata`.",
        ("engine.an_edge_as_a_root", "node.what_is_known_of_its_gradients"),
    ),
    Change(
        "2.5",
        "name",
        "`torch.serialization.safe_globals`.",
        ("files.subclasses_of_list", "files.exceptions"),
    ),
    Change(
        "2.5",
        "behaviour",
        "LBFGS refuses a negative learning rate, and one of several elements.",
        ("test_lbfgs.what_is_refused",),
    ),
    Change(
        "2.5",
        "text",
        "Errors of a buffer of another type, of a learning rate of several elements, of `one_hot` and of what is no edge; warnings "
        "of old names of reductions.",
        (
            "test_module.reassignment_of_another_type",
            "test_optim_settings.settings_out_of_range",
            "test_functional.one_hot",
            "test_functional.old_names_of_reductions",
            "test_edges.what_is_no_edge",
        ),
    ),
    Change(
        "2.4",
        "warning",
        "Warnings of legacy backward hooks and of other old ways are FutureWarnings, before UserWarnings.",
        (
            "forward_pre.no_check_that_a_hook_is_callable",
            "legacy.",
            "engine.old_arguments_of_backward",
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
        "behaviour",
        "`swap_tensors` takes a leaf that a graph ends in, and the backward pass of that graph is refused. Before, the swap was.",
        ("converting.a_graph_that_ends_in_a_swapped_leaf",),
    ),
    Change(
        "2.4",
        "behaviour",
        "A schedule writes into a learning rate that is a tensor. Before, it put a number in its place.",
        ("test_schedulers.a_tensor_as_learning_rate_stays_that_tensor",),
    ),
    Change(
        "2.4",
        "behaviour",
        "`binary_cross_entropy` and `nll_loss` of float16.",
        ("test_functional.losses_of_mixed_types",),
    ),
    Change(
        "2.4",
        "name",
        "`ChainedScheduler(optimizer=)`; `maximize` of NAdam and `capturable` of RMSprop.",
        (
            "test_schedulers.all_at_once",
            "test_schedulers.errors",
            "test_optim_settings.saved_state_from_before_steps_were_tensors",
        ),
    ),
    Change(
        "2.4",
        "text",
        "Errors of empty inputs and of schedules; signatures in errors say their defaults; deprecated names between backquotes; "
        "unexpected keys of submodules are listed.",
        (
            "engine.errors_of_backward",
            "engine.old_arguments_of_backward",
            "test_memory_format.what_is_no_format",
            "test_optim_settings.scheduler_errors",
            "test_schedulers.errors",
            "capture.what_is_refused_of_inputs",
            "test_functional.interpolate_accepts",
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
        "name",
        "`utils.swap_tensors` and `torch.__future__.set_swap_module_params_on_conversion`.",
        ("converting.",),
    ),
    Change(
        "2.3",
        "behaviour",
        "`load_state_dict(assign=True)` keeps `requires_grad` of the parameter that was there.",
        ("test_state_dict.assign",),
    ),
    Change(
        "2.3",
        "behaviour",
        "LBFGS takes complex parameters; `CyclicLR` and `OneCycleLR` any optimizer with `betas`.",
        ("test_lbfgs.the_step", "test_schedulers.errors"),
    ),
    Change(
        "2.3",
        "text",
        "Errors of Linear, of pooling and of losses of integers; `fused` among the settings that an optimizer prints.",
        (
            "test_functional.linear_refuses",
            "test_functional.pooling_refuses",
            "test_functional.losses_of_mixed_types",
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
        "Errors of resizing and of parameter groups; of inputs that are neither tensors nor edges.",
        ("test_functional.interpolate_refuses", "test_optim_settings.groups", "capture.inputs_in_a_dict"),
    ),
    Change(
        "2.2",
        "name",
        "`autograd.graph.GradientEdge` and `get_gradient_edge`.",
        (
            "node.gradient_edges",
            "node.the_pass_that_runs",
            "engine.an_edge_as_a_root",
            "capture.an_edge_as_an_input",
            "names.import_paths",
            "test_edges.what_is_no_edge",
        ),
    ),
    Change(
        "2.2",
        "behaviour",
        "`setup_context` of a Function gets the defaults of `forward` too, before only what was given; wrong numbers of "
        "arguments are refused before `forward` is called.",
        ("function.arguments_of_apply", "function.the_node_and_its_name"),
    ),
    Change(
        "2.2",
        "behaviour",
        "The state of `CyclicLR` has what an object for `scale_fn` holds. Before, it had the object itself.",
        ("test_schedulers.functions_are_not_saved_and_objects_are",),
    ),
    Change(
        "2.2",
        "name",
        "SGD without a learning rate takes 0.001; `ReduceLROnPlateau.get_last_lr`.",
        (
            "test_optim_settings.scheduler_errors",
            "test_schedulers.errors",
            "test_schedulers.a_tensor_as_learning_rate_stays_that_tensor",
        ),
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
            "test_edges.what_is_no_edge",
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
            "files.hooks_travel_with_a_module",
            "names.",
        ),
    ),
    Change(
        "2.1",
        "name",
        "`autograd.grad(materialize_grads=)`; `load_state_dict(assign=)`; hooks on an optimizer's state_dict.",
        (
            "engine.errors_of_backward",
            "registration.when_registration_hooks_do_not_run",
            "copying.parameter_hooks_are_not_copied_and_survive_double",
            "converting.loading_a_state_dict",
            "test_optim_settings.hooks",
            "test_state_dict.assign",
        ),
    ),
    Change(
        "2.1",
        "name",
        "`torch._C._is_multithreading_enabled`; `to_empty(recurse=)`; `capturable` and `decoupled_weight_decay` of NAdam.",
        (
            "node.threads_can_be_forbidden",
            "test_memory_format.to_empty",
            "test_optim_settings.saved_state_from_before_steps_were_tensors",
        ),
    ),
    Change(
        "2.1",
        "behaviour",
        "`binary_cross_entropy` refuses targets that are not between 0 and 1, and takes float16 with logits; "
        "`CosineAnnealingWarmRestarts` looks at its `eta_min`.",
        (
            "test_functional.probability_losses_refuse",
            "test_functional.losses_of_mixed_types",
            "test_schedulers.errors",
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
        "Errors of Linear, of normalization, padding, resizing and Softmax2d, of a parameter group that is no dict, of a hook of "
        "a step that returns something else, of a gradient that is no tensor and of deepcopy of a tensor in a graph.",
        (
            "node.arrays_in_the_place_of_tensors",
            "test_optim_settings.hooks_see_the_arguments",
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
