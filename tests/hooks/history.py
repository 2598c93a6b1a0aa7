"""HOOKS.md: hooks in PyTorch from 2.0 on, from the recorded logs and the table of changes.

`python -m tests.hooks --page > HOOKS.md` writes it; a test holds the file to it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from . import recorded
from .api import PLACES, differences, is_here
from .catalogue import GROUPS, OTHER_TESTS, everything
from .changes import CHANGES, TOLD, Change, minor


class Kind(NamedTuple):
    name: str
    does: str
    since: str  # "2.0": all versions that are recorded have it
    rule: str


KINDS = (
    Kind(
        "`Module.register_forward_pre_hook(hook)`",
        "`hook(module, args)` before `forward`; what it returns is the new arguments.",
        "2.0",
        "forward_pre.return_value[(1, 2)]",
    ),
    Kind(
        "`Module.register_forward_hook(hook)`",
        "`hook(module, args, output)` after `forward`; what it returns is the new output.",
        "2.0",
        "forward.return_value[0]",
    ),
    Kind(
        "`prepend=True`, `with_kwargs=True`",
        "First in the row; the hook receives the keyword arguments too, and a pre-hook returns both.",
        "2.0",
        "forward.forward_hook_sees_changed_args_and_kwargs",
    ),
    Kind(
        "`register_forward_hook(hook, always_call=True)`",
        "The hook runs although `forward` or a hook before it raised.",
        "2.1",
        "always_call.after_failure_in_forward",
    ),
    Kind(
        "`nn.modules.module.register_module_forward_hook(hook, with_kwargs=True)`",
        "The hook of every module, with the keyword arguments.",
        "2.6",
        "forward.global_forward_hook_with_kwargs",
    ),
    Kind(
        "`nn.modules.module.register_module_forward_hook(hook)` and its siblings",
        "The same for every module; they run before the module's own.",
        "2.0",
        "forward.global_before_local_in_order_of_registration",
    ),
    Kind(
        "`Module.register_full_backward_pre_hook(hook)`",
        "`hook(module, grad_output)` when the gradients of the outputs are there; what it returns replaces them.",
        "2.0",
        "backward.two_outputs_fire_once",
    ),
    Kind(
        "`Module.register_full_backward_hook(hook)`",
        "`hook(module, grad_input, grad_output)` when those of the inputs are there too; what it returns replaces `grad_input`.",
        "2.0",
        "backward.unused_output_is_none",
    ),
    Kind(
        "`Module.register_backward_hook(hook)`",
        "The old form: a hook on the last node of the output only, so `grad_input` is that node's, not the module's.",
        "2.0",
        "legacy.sees_the_last_node",
    ),
    Kind(
        "`Tensor.register_hook(hook)`",
        "`hook(grad)` with the whole gradient of the tensor; what it returns replaces it.",
        "2.0",
        "tensor.sees_the_sum_and_replaces_it",
    ),
    Kind("`Tensor.retain_grad()`", "Keeps the gradient after all tensor hooks in `.grad`.", "2.0", "leaf.retain_grad"),
    Kind(
        "`Tensor.register_post_accumulate_grad_hook(hook)`",
        "`hook(leaf)` when its `.grad` has been added to.",
        "2.1",
        "leaf.post_accumulate_hooks",
    ),
    Kind(
        "`Node.register_prehook`, `Node.register_hook`",
        "`hook(grad_outputs)` before a node of the graph runs, `hook(grad_inputs, grad_outputs)` after it.",
        "2.0",
        "node.pre_and_post_hooks_see_and_replace",
    ),
    Kind(
        "`autograd.graph.get_gradient_edge(tensor)`",
        "The node and the number of the output where a tensor's gradient enters the graph.",
        "2.2",
        "node.gradient_edges",
    ),
    Kind(
        "`autograd.graph.register_multi_grad_hook(tensors, hook)`",
        "`hook(grads)` once a pass, when the gradients of all of them are there.",
        "2.0",
        "multi_grad.all",
    ),
    Kind(
        '`register_multi_grad_hook(tensors, hook, mode="any")`',
        "`hook(grad)` with the first of them that is there.",
        "2.3",
        "multi_grad.any",
    ),
    Kind(
        "`autograd.graph.saved_tensors_hooks(pack, unpack)`",
        "`pack(tensor)` stands for what a node keeps of the forward pass, and `unpack` gives it back.",
        "2.0",
        "saved.what_is_packed[exp]",
    ),
    Kind(
        "`Node._raw_saved_tensors[0].register_hooks(pack, unpack)`",
        "The same for one tensor that a node keeps already.",
        "2.0",
        "saved.hooks_on_what_a_function_has_saved",
    ),
    Kind(
        "`autograd.graph.node_creation_hook(hook)`",
        "`hook(node)` for each node that is added to the graph, in a `with` block.",
        "2.14",
        "creating.what_is_seen[a chain]",
    ),
    Kind(
        "`Module._register_state_dict_hook`, `register_state_dict_pre_hook`",
        "Before and after `state_dict()` of a module.",
        "2.0",
        "state_dict.pre_hooks_see_the_arguments",
    ),
    Kind(
        "`Module.register_state_dict_post_hook(hook)`",
        "The public form of the first; it must return None.",
        "2.5",
        "state_dict.public_post_hook_must_return_none",
    ),
    Kind(
        "`Module.register_load_state_dict_post_hook(hook)`",
        "`hook(module, incompatible_keys)` after `load_state_dict`, for each module.",
        "2.0",
        "load_state_dict.post_hooks_see_the_keys_of_all",
    ),
    Kind(
        "`Module.register_load_state_dict_pre_hook(hook)`",
        "Before it, with the dictionary that may be changed.",
        "2.5",
        "load_state_dict.the_child_sees_full_keys",
    ),
    Kind(
        "`register_module_parameter_registration_hook` and those of buffers and modules",
        "When a module gets a parameter, a buffer or a submodule; what they return takes its place.",
        "2.0",
        "registration.registration_of_parameters",
    ),
    Kind(
        "`Optimizer.register_step_pre_hook`, `register_step_post_hook`",
        "`hook(optimizer, args, kwargs)` before and after a step; what the first returns is the new arguments.",
        "2.0",
        "test_optim_settings.hooks_see_the_arguments",
    ),
    Kind(
        "`Optimizer.register_state_dict_pre_hook`, `register_load_state_dict_post_hook` and their siblings",
        "Before and after `state_dict()` and `load_state_dict` of an optimizer.",
        "2.1",
        "test_optim_settings.hooks",
    ),
)


def page() -> str:
    versions = recorded.versions()
    hooks = [change for change in CHANGES if not _is_beside(change)]
    lines = [
        f"# Hooks in PyTorch, {_short(versions[0])} to {_short(versions[-1])}",
        "",
        "What hooks did in each version: recorded, not remembered. Every line below names a rule that shows it, and",
        "`python -m tests.hooks RULE --version 2.6` prints the rule, its code and the log of that version beside minicnn's.",
        "`python -m tests.hooks WORD --changes 2.6 2.13` compares two versions, `--versions` prints the table of all rules.",
        f'minicnn behaves as PyTorch {recorded.BASE}, unless `minicnn.utils.hooks.mirror("2.6")` says otherwise; * marks what that',
        "switches. This page is made by `python -m tests.hooks --page`. Recorded are",
        f"{', '.join(versions)}; a change is told at the first of them that has it.",
        "",
        "## When you move from one version to another",
        "",
        "What code that ran before meets: other values, other hooks, other warnings.",
        *_by_version([change for change in hooks if change.kind in ("behaviour", "warning")]),
        "",
        "## The kinds of hooks",
        "",
        "| hook | what it does | since | rule |",
        "|---|---|---|---|",
        *(f"| {k.name} | {k.does} | {k.since}{' or before' if k.since == '2.0' else ''} | `{k.rule}` |" for k in KINDS),
        "",
        "## New names, and other texts",
        *_by_version([change for change in hooks if change.kind in ("name", "text")]),
        "",
        "## Beside hooks",
        "",
        "What else the recorded rules of functions, modules, optimizers and state_dicts show.",
        *_by_version([change for change in CHANGES if _is_beside(change)]),
        "",
        "### Told, not shown",
        "",
        "In what minicnn does not have, so that no rule can run in both.",
        "",
        *(f"- {since}: {text}" for since, text in TOLD),
        "",
        "## Names and parameters",
        "",
        f"Of {', '.join(f'`{place}`' for place in PLACES)} and `Tensor`, where minicnn has the name.",
        "`python -m tests.hooks --names 2.12 2.14` compares two versions, with the names that minicnn does not have.",
        *_names(versions),
        "",
        f"## How many rules log what they log in {recorded.BASE}",
        "",
        f"Of {len(GROUPS)} groups of rules about hooks and {len(OTHER_TESTS)} files of others.",
        "",
        "| PyTorch | the same | of |",
        "|---|---|---|",
        *_counts(versions),
        "",
    ]
    return "\n".join(lines)


def _is_beside(change: Change) -> bool:
    return all(rule.startswith(OTHER_TESTS) for rule in change.rules)


def _by_version(changes: list[Change]) -> list[str]:
    lines = []
    for version in sorted({change.since for change in changes}, key=minor, reverse=True):
        lines += ["", f"**{version}**", ""]
        for change in changes:
            if change.since == version:
                lines.append(f"- {change.text}{' *' if change.mirrored else ''}")
                lines.append(f"  ({', '.join(f'`{rule}`' for rule in change.rules)})")
    return lines


def _names(versions: list[str]) -> list[str]:
    lines = []
    for older, newer in reversed(list(pairwise(versions))):
        old, new = recorded.names(older), recorded.names(newer)
        found = [d for d in differences(old, new) if is_here(d.name)] if old and new else []
        if found:
            lines += ["", f"**{_short(newer)}**", ""]
        for title, chosen in (
            ("New", [d for d in found if d.old is None]),
            ("Gone", [d for d in found if d.new is None]),
            ("Parameters", [d for d in found if d.old is not None and d.new is not None]),
        ):
            if chosen:
                lines.append(f"- {title}: {', '.join(d.text for d in chosen)}")
    return lines


def _counts(versions: list[str]) -> list[str]:
    rows = {str(scenario): recorded.letters(scenario) for scenario in everything()}
    lines = []
    for version in versions:
        column = [row[version] for row in rows.values() if row[version]]
        lines.append(f"| {version} | {column.count('=')} | {len(column)} |")
    return lines


def _short(version: str) -> str:
    return ".".join(version.split(".")[:2])
