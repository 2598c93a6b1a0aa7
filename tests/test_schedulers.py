"""Learning-rate schedules under both libraries: every step's rates and momenta, saved state, warnings and errors."""

from __future__ import annotations

import copy
import math

import pytest
import torch as real_torch
from both import assert_same, attempt, known, scenarios
from test_layer_signatures import parameters_of

import minicnn

SETTINGS = [
    ("StepLR", {"step_size": 2, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [1, 3, 3], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LambdaLR", {"lr_lambda": lambda step: 1 / (step + 1)}),
    ("MultiplicativeLR", {"lr_lambda": [lambda step: 0.9, lambda step: 1 / (step + 1)]}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.7, "total_iters": 3}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.9, "end_factor": 0.1, "total_iters": 20}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 17, "power": 2.5}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 4}),
    ("CyclicLR", {"base_lr": [0.01, 0.02], "max_lr": 0.2, "step_size_up": 3, "step_size_down": 5}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "mode": "exp_range", "gamma": 0.97}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "scale_fn": lambda x: 1 / x}),
    (
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "scale_fn": math.cos, "scale_mode": "iterations"},
    ),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 61}),
    ("OneCycleLR", {"max_lr": [1.0, 2.0], "epochs": 9, "steps_per_epoch": 7, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 70, "anneal_strategy": "linear", "pct_start": 0.5}),
]


def two_groups(torch, name="SGD", lr=0.3):
    a, b = known(torch, 2, 3, requires_grad=True), known(torch, 2, start=1, requires_grad=True)
    return getattr(torch.optim, name)([{"params": [a], "lr": lr}, {"params": [b]}], lr=0.2)


def rates(optimizer):
    return [
        {k: v for k, v in g.items() if "lr" in k or "momentum" in k or k == "betas"} for g in optimizer.param_groups
    ]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), SETTINGS, ids=lambda value: str(value)[:60])
def test_sixty_steps(name, options, optimizer):
    def rule(torch, log):
        made = two_groups(torch, optimizer)
        scheduler = getattr(torch.optim.lr_scheduler, name)(made, **options)
        for _ in range(60):
            log(rates(made), scheduler.get_last_lr(), scheduler.last_epoch)
            made.step()
            scheduler.step()
        state = {k: v for k, v in scheduler.state_dict().items() if k not in ("lr_lambdas", "_scale_fn_custom")}
        log(sorted(scheduler.state_dict()), state)

    assert_same(rule)


@pytest.mark.parametrize(("name", "options"), SETTINGS, ids=lambda value: str(value)[:60])
def test_step_by_its_number(name, options):
    """`step(epoch)`: the closed form where there is one, and going on from there."""

    def rule(torch, log):
        made = two_groups(torch)
        scheduler = getattr(torch.optim.lr_scheduler, name)(made, **options)
        made.step()
        for epoch in (0, 1, 2, 7, 3, 19, 4, 40):
            scheduler.step(epoch)
            log(epoch, rates(made), scheduler.last_epoch)
            scheduler.step()
            log(rates(made), scheduler.last_epoch)

    assert_same(rule)


@pytest.mark.parametrize(("name", "options"), SETTINGS, ids=lambda value: str(value)[:60])
def test_saved_state_goes_on(name, options):
    def rule(torch, log):
        first, second = two_groups(torch), two_groups(torch)
        old, new = (getattr(torch.optim.lr_scheduler, name)(made, **options) for made in (first, second))
        first.step()
        for _ in range(5):
            old.step()
        new.load_state_dict(copy.deepcopy(old.state_dict()))
        second.load_state_dict(first.state_dict())
        for _ in range(5):
            old.step()
            new.step()
            log(rates(first), rates(second), new.last_epoch)

    assert_same(rule)


@pytest.mark.parametrize("name", minicnn.optim.lr_scheduler.__all__)
def test_signature(name):
    ours, theirs = (getattr(lib.optim.lr_scheduler, name) for lib in (minicnn, real_torch))
    assert parameters_of(ours) == parameters_of(theirs)
    assert parameters_of(ours.step) == parameters_of(theirs.step)


def test_all_of_torch_are_there():
    missing = set(real_torch.optim.lr_scheduler.__all__) - set(minicnn.optim.lr_scheduler.__all__)
    assert missing == set()


def rule_a_tensor_as_learning_rate_stays_that_tensor(torch, log):
    p, schedulers = [known(torch, 2, requires_grad=True)], torch.optim.lr_scheduler
    for name, options in (
        ("StepLR", {"step_size": 2}),
        ("LinearLR", {}),
        ("CosineAnnealingWarmRestarts", {"T_0": 3}),
        ("ReduceLROnPlateau", {"patience": 1}),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 2, "cycle_momentum": False}),
    ):
        lr = torch.tensor(0.3)
        made = torch.optim.Adam(p, lr=lr)
        scheduler = getattr(schedulers, name)(made, **options)
        made.step()
        for _ in range(5):
            scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))
            log(lr, made.param_groups[0]["lr"] is lr, scheduler.get_last_lr()[0] is lr, scheduler.get_last_lr())


def rule_one_after_the_other(torch, log):
    schedulers = torch.optim.lr_scheduler
    made = two_groups(torch)
    first = schedulers.ConstantLR(made, factor=0.1, total_iters=3)
    second = schedulers.ExponentialLR(made, gamma=0.9)
    third = schedulers.CosineAnnealingLR(made, 6)
    whole = schedulers.SequentialLR(made, [first, second, third], [4, 9])
    log(rates(made), whole.last_epoch, [s.last_epoch for s in (first, second, third)])
    made.step()
    for _ in range(20):
        whole.step()
        log(rates(made), whole.get_last_lr(), whole.last_epoch, [s.last_epoch for s in (first, second, third)])
    log(whole.state_dict())


def rule_one_after_the_other_within_another(torch, log):
    schedulers = torch.optim.lr_scheduler
    made = two_groups(torch)
    inner = schedulers.SequentialLR(
        made, [schedulers.LinearLR(made, total_iters=3), schedulers.StepLR(made, 2)], milestones=[3]
    )
    chained = schedulers.ChainedScheduler([schedulers.PolynomialLR(made, 8), schedulers.ConstantLR(made)])
    log(rates(made), inner.last_epoch)
    outer = schedulers.SequentialLR(made, [inner, chained], milestones=[6])
    log(rates(made), inner.last_epoch, outer.last_epoch)
    made.step()
    for _ in range(5):
        outer.step()
        log(rates(made), outer.get_last_lr())
    attempt(log, outer.step)  # a ChainedScheduler has no step 0 to be set to


def rule_all_at_once(torch, log):
    schedulers = torch.optim.lr_scheduler
    made = two_groups(torch)
    chained = schedulers.ChainedScheduler(
        [
            schedulers.ConstantLR(made, factor=0.1, total_iters=4),
            schedulers.ExponentialLR(made, gamma=0.9),
            schedulers.CosineAnnealingLR(made, 5),
        ],
        made,
    )
    made.step()
    for _ in range(20):
        chained.step()
        log(rates(made), chained.get_last_lr())
    log(chained.state_dict())


def rule_several_saved(torch, log):
    schedulers = torch.optim.lr_scheduler

    def build():
        made = two_groups(torch)
        warm, down = schedulers.LinearLR(made, total_iters=4), schedulers.ExponentialLR(made, 0.9)
        both = schedulers.ChainedScheduler([schedulers.StepLR(made, 3), schedulers.MultiStepLR(made, [2, 5])])
        return made, schedulers.SequentialLR(made, [warm, down], [4]), both

    made, one, both = build()
    made.step()
    for _ in range(6):
        one.step()
        both.step()
    again, other, others = build()
    saved = one.state_dict(), both.state_dict()
    other.load_state_dict(saved[0])
    others.load_state_dict(saved[1])
    log(sorted(saved[0]), sorted(saved[1]))  # loading leaves the dictionary as it was
    again.load_state_dict(made.state_dict())
    again.step()
    for _ in range(4):
        other.step()
        others.step()
        log(rates(again), other.get_last_lr(), others.get_last_lr())


LOSSES = [1.0, 0.9, 0.95, 0.9, 0.9, 0.89995, 0.9, 0.9, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4]
PLATEAU = [
    {},
    {"patience": 1},
    {"patience": 2, "mode": "max", "factor": 0.5},
    {"patience": 0, "cooldown": 3, "threshold": 0.0},
    {"patience": 1, "threshold_mode": "abs", "threshold": 0.2},
    {"patience": 1, "threshold_mode": "abs", "threshold": 0.2, "mode": "max"},
    {"patience": 1, "min_lr": [0.02, 0.1]},
    {"patience": 0, "min_lr": 1e-3, "eps": 0.01},
]


@pytest.mark.parametrize("options", PLATEAU, ids=str)
def test_plateau(options):
    def rule(torch, log):
        made, again = two_groups(torch), two_groups(torch)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(made, **options)
        for loss in LOSSES:
            scheduler.step(loss)
            log(rates(made), scheduler.get_last_lr(), scheduler.in_cooldown, scheduler.num_bad_epochs)
        log(scheduler.state_dict())
        other = torch.optim.lr_scheduler.ReduceLROnPlateau(again, **options)
        other.load_state_dict(scheduler.state_dict())
        for loss in (float("nan"), torch.tensor(0.7), 0.9, 5):
            other.step(loss)
        log(rates(again), other.best)
        other.step(0.9, epoch=100)
        log(other.last_epoch)

    assert_same(rule)


def rule_plateau_and_a_group_that_came_later(torch, log):
    for lowest in (0.01, [0.01, 0.02]):
        made = two_groups(torch)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(made, patience=0, min_lr=lowest)
        made.add_param_group({"params": known(torch, 1, requires_grad=True)})
        scheduler.step(1.0)
        attempt(log, scheduler.step, 1.0)
        log(rates(made))


def rule_restarts_at_fractions(torch, log):
    made = two_groups(torch)
    for mult in (1, 2, 3):
        scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(made, 5, mult)
        made.step()
        for epoch in (0.25, 4.75, 5, 5.5, 20, 64.5, 3):
            scheduler.step(epoch)
            log(rates(made), scheduler.last_epoch, scheduler.T_cur, scheduler.T_i)
        attempt(log, scheduler.step, -1)


def rule_going_on_from_a_step(torch, log):
    schedulers = torch.optim.lr_scheduler
    for name, options in (
        ("StepLR", {"step_size": 2}),
        ("LinearLR", {}),
        ("PolynomialLR", {}),
        ("ConstantLR", {}),
        ("CosineAnnealingLR", {"T_max": 5}),
        ("CosineAnnealingWarmRestarts", {"T_0": 3}),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 2, "cycle_momentum": False}),
        ("MultiplicativeLR", {"lr_lambda": lambda step: 0.9}),
    ):
        made = two_groups(torch)
        attempt(log, getattr(schedulers, name), made, **options, last_epoch=3)
        for group in made.param_groups:
            group["initial_lr"] = 1.0
        scheduler = getattr(schedulers, name)(made, **options, last_epoch=3)
        log(rates(made), scheduler.last_epoch, scheduler.get_lr())
        made.step()
        scheduler.step()
        log(rates(made))


def rule_functions_are_not_saved_and_objects_are(torch, log):
    class Factor:
        def __init__(self, number):
            self.number = number

        def __call__(self, step):
            return self.number**step

    for name in ("LambdaLR", "MultiplicativeLR"):
        made = two_groups(torch)
        build = getattr(torch.optim.lr_scheduler, name)
        scheduler, other = (build(made, [Factor(n), lambda step: 0.5]) for n in (0.9, 0.7))
        log(scheduler.state_dict()["lr_lambdas"])
        other.load_state_dict(scheduler.state_dict())
        log(other.lr_lambdas[0].number)
    cycles = [torch.optim.lr_scheduler.CyclicLR(made, 0.1, 1.0, scale_fn=Factor(n)) for n in (0.9, 0.7)]
    log(cycles[0].state_dict()["_scale_fn_custom"])
    cycles[1].load_state_dict(cycles[0].state_dict())
    log(cycles[1].scale_fn(2), cycles[1]._scale_fn_custom.number)


def rule_of_ones_own(torch, log):
    class Own(torch.optim.lr_scheduler._LRScheduler):
        def get_lr(self):
            return [base / (self.last_epoch + 1) for base in self.base_lrs]

    made = two_groups(torch)
    own = Own(made)
    made.step()
    own.step()
    own.step(7)
    log(rates(made), own.get_last_lr(), isinstance(own, torch.optim.lr_scheduler.LRScheduler))


def rule_an_optimizer_of_ones_own_has_made_a_step(torch, log):
    class Own(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        def step(self, closure=None):
            log("step")

    own = Own([known(torch, 2, requires_grad=True)])
    scheduler = torch.optim.lr_scheduler.StepLR(own, 1)
    own.step()
    scheduler.step()
    log(scheduler.get_last_lr())
    other = Own([known(torch, 2, requires_grad=True)])
    scheduler = torch.optim.lr_scheduler.StepLR(other, 1)
    other.step = lambda: None
    scheduler.step()


def rule_warnings(torch, log):
    schedulers = torch.optim.lr_scheduler
    made = two_groups(torch)
    scheduler = schedulers.StepLR(made, 1)
    log(scheduler.get_lr())
    scheduler.step()
    scheduler.step(3)


def rule_errors(torch, log):
    schedulers, p = torch.optim.lr_scheduler, [known(torch, 2, requires_grad=True)]
    made, other, plain = torch.optim.SGD(p, lr=0.1), torch.optim.SGD(p, lr=0.2), torch.optim.Optimizer(p, {"lr": 0.1})
    attempt(log, schedulers.StepLR, 5, 1)
    for name in ("ReduceLROnPlateau", "CyclicLR", "OneCycleLR", "ExponentialLR"):
        attempt(log, getattr(schedulers, name), 5, 1, 1)
    attempt(log, schedulers.LambdaLR, made, [abs, abs])
    attempt(log, schedulers.MultiplicativeLR, made, 5)
    for wrong in (1.5, -0.1):
        attempt(log, schedulers.ConstantLR, made, wrong)
        attempt(log, schedulers.LinearLR, made, wrong)
        attempt(log, schedulers.LinearLR, made, 0.5, wrong)
    attempt(log, schedulers.LinearLR, made, 0)
    for wrong in ((0,), (1.5,), (2, 0), (2, 1.5), (2, 2, "low")):
        attempt(log, schedulers.CosineAnnealingWarmRestarts, made, *wrong)
    attempt(log, schedulers.ReduceLROnPlateau, made, factor=1.0)
    attempt(log, schedulers.ReduceLROnPlateau, made, mode="other")
    attempt(log, schedulers.ReduceLROnPlateau, made, threshold_mode="other")
    attempt(log, schedulers.ReduceLROnPlateau, made, min_lr=[1, 2])
    attempt(log, schedulers.CyclicLR, made, [0.1, 0.2], 0.3)
    attempt(log, schedulers.CyclicLR, made, 0.1, [0.2, 0.3])
    attempt(log, schedulers.CyclicLR, made, 0.1, 0.3, mode="other")
    attempt(log, schedulers.CyclicLR, plain, 0.1, 0.3)
    attempt(log, schedulers.OneCycleLR, plain, 0.1, 5)
    for wrong in (
        {},
        {"total_steps": 0},
        {"epochs": 1.5, "steps_per_epoch": 2},
        {"epochs": 1, "steps_per_epoch": 0},
        {"total_steps": 5, "pct_start": 2.0},
        {"total_steps": 5, "anneal_strategy": "other"},
        {"total_steps": 5, "max_momentum": [1, 2]},
    ):
        attempt(log, schedulers.OneCycleLR, made, 1.0, **wrong)
    cycle = schedulers.OneCycleLR(torch.optim.SGD(p), 1.0, total_steps=2)
    for _ in range(4):
        attempt(log, cycle.step)
    one, foreign, plateau = (
        schedulers.StepLR(made, 1),
        schedulers.StepLR(other, 1),
        schedulers.ReduceLROnPlateau(made),
    )
    for several in ([], [one, foreign], [one, plateau], [one, 5], [one]):
        attempt(log, schedulers.SequentialLR, made, several, [3])
        attempt(log, schedulers.ChainedScheduler, several, other)
    attempt(log, schedulers.LRScheduler, made)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
