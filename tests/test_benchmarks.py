"""The arithmetic of `python -m tests.benchmarks`: what its summary says of rows, and what a row costs at least."""

import numpy as np
import pytest
import torch

import minicnn
from tests.benchmarks import limits, networks, peers, rows, targets
from tests.benchmarks.__main__ import differences, entry
from tests.benchmarks.worker import Side, sample

ROW = rows.Row("c", "net", None, rows.forward, rows.FORWARD, 1)
AGAINST_BOTH = targets.Target(1, "forward", 2, "better of two", ("torch", "channels_last"), 1.3, 1.0)


def timed(name: str, target: int = 1, **times: float) -> dict:
    return entry(ROW._replace(name=name, target=target), times, dict.fromkeys(times, 1e-7))


def test_a_ratio_is_to_the_fastest_of_the_peers_that_ran():
    row = timed("net", minicnn=10.0, torch=15.0, channels_last=12.0, onnxruntime=5.0)
    assert targets.ratio(row, ["torch"]) == 1.5
    assert targets.ratio(row, ["torch", "channels_last", "compile"]) == pytest.approx(1.2)
    assert targets.ratio(row, ["openvino"]) is None


def test_a_target_is_judged_by_its_mean_and_its_worst_row():
    found = [
        timed("a", minicnn=1.0, torch=4.0, channels_last=3.0),
        timed("b", minicnn=2.0, torch=2.4, channels_last=9.0),
    ]
    other = timed("of another target", target=2, minicnn=9.0, torch=1.0, channels_last=1.0)
    judged = targets.judge(AGAINST_BOTH, [*found, other])
    assert judged["mean"] == pytest.approx((3 * 1.2) ** 0.5)
    assert (judged["worst"], judged["worst row"], judged["rows"]) == (pytest.approx(1.2), "b", 2)
    assert judged["held"] is True
    slow = [found[0], timed("b", minicnn=2.0, torch=1.9, channels_last=9.0)]
    assert targets.judge(AGAINST_BOTH, slow)["mean"] > 1.3 and targets.judge(AGAINST_BOTH, slow)["held"] is False
    even = [timed(name, minicnn=1.0, torch=1.2, channels_last=1.2) for name in "ab"]
    assert targets.judge(AGAINST_BOTH, even)["held"] is False  # no row is under 1, but the mean is 1.2


def test_a_target_is_not_judged_without_all_of_its_rows_and_peers():
    one = timed("a", minicnn=1.0, torch=4.0, channels_last=3.0)
    assert targets.judge(AGAINST_BOTH, [one])["held"] is None
    judged = targets.judge(AGAINST_BOTH, [one, timed("b", minicnn=1.0, torch=4.0)])
    assert judged["held"] is None and judged["without"] == ["channels_last"] and judged["rows"] == 2
    assert targets.judge(AGAINST_BOTH, [timed("a", minicnn=1.0, openvino=1.0)]) is None


def test_the_start_has_seconds_at_most():
    cold, warm = targets.START
    judged = targets.judge_start([timed(cold, minicnn=6.5), timed(warm, minicnn=2.5), timed("import", minicnn=9.0)])
    assert [row["held"] for row in judged] == [False, True]


def test_the_lower_quartile_leaves_disturbed_turns_and_a_lucky_one_out():
    assert targets.quartile([10, 10, 10, 10, 10, 30, 30, 30, 30, 1]) == 10
    assert targets.quartile([4.0]) == 4.0


def test_every_target_has_the_rows_that_it_counts():
    count = {number: sum(row.target == number for row in rows.ROWS) for number in (1, 2, 3, 5)}
    count[4] = count[2] + count[3]
    assert {target.number: target.of for target in targets.TARGETS} == count
    for target in targets.TARGETS:
        asked = [row for row in rows.ROWS if row.target == target.number]
        assert all(set(target.peers) <= set(row.peers) for row in asked), target
    assert len({(row.group, row.name) for row in rows.ROWS}) == len(rows.ROWS)


def test_a_wrong_result_is_named(tmp_path):
    right = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    for side, result in {
        "minicnn": right,
        "torch": right * 7,
        "openvino": right + 0.1,
        "onnxruntime": right * np.nan,
    }.items():
        np.save(tmp_path / f"{side}.npy", sample(result))
    errors = differences(str(tmp_path), ["minicnn", "torch", "openvino", "onnxruntime"])
    assert errors["torch"] < 1e-6  # a factor is taken out: each result is in units of its size
    assert errors["openvino"] == pytest.approx(0.1, rel=0.1)
    row = entry(ROW, dict.fromkeys(["minicnn", *errors], 1.0), errors)
    assert [text.split(":")[1].split(",")[0].strip() for text in targets.wrong([row])] == ["openvino", "onnxruntime"]


def cost(model: torch.nn.Module, x: torch.Tensor, step) -> limits.Cost:
    return limits.cost(torch, model, x, step(torch, model, x))


@pytest.mark.slow
def test_what_a_convolution_costs_at_least():
    x, layer = torch.ones(2, 8, 10, 12), torch.nn.Conv2d(8, 16, 3, padding=1)
    operations = 2 * (2 * 16 * 10 * 12) * 8 * 9
    found = cost(layer, x, rows.forward)
    assert found.operations == operations / 4  # by Winograd's algorithm
    assert found.bytes == 4 * (x.numel() + 16 * 8 * 9 + 16 + 2 * 16 * 10 * 12)
    assert cost(layer, x, rows.WANTED["forward, gradient to input"]).operations == operations / 2
    assert cost(layer, x.detach(), rows.WANTED["forward, all gradients"]).operations == operations * 1.5
    for settings, part in ({"stride": 2}, 4), ({"groups": 8}, 8), ({"dilation": 2, "padding": 2}, 1):
        layer = torch.nn.Conv2d(8, 16, 3, **{"padding": 1, **settings})
        assert cost(layer, x.detach(), rows.forward).operations == operations / part


def test_what_a_network_costs_counts_its_matrix_products():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Flatten(), torch.nn.Linear(4 * 25, 10))
    assert cost(model, torch.ones(2, 3, 5, 5), rows.forward).operations == 2 * (2 * 4 * 25 * 3) + 2 * (2 * 10 * 100)


def test_the_limit_is_the_larger_time():
    assert limits.Cost(1e9, 1000).seconds(1e11, 1e10) == 0.01
    assert limits.Cost(1e3, 10**9).seconds(1e11, 1e10) == 0.1


def test_random_networks_have_the_same_numbers_in_both_libraries_and_each_batch_norm_the_size_of_its_input():
    """A variance of 1 everywhere let numbers grow from layer to layer, until float32's results were not those of float64."""
    ours, theirs = (networks.network(lib, "mobilenet_v3_small", 64) for lib in (minicnn, torch))
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[key].numpy(), value.numpy(), err_msg=key)
    squares = []
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda module, inputs, output: squares.append(float((output**2).mean())))
    with torch.no_grad():
        theirs(rows.numbers(torch, 1, 3, 64, 64, seed=1))
    assert len(squares) == 34 and min(squares) > 0.49 and max(squares) < 2.01  # 1, but for rounding to a power of 4


def test_a_row_goes_through_the_sides_of_minicnn_and_pytorch_with_one_result(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the command sets it for each side's process
    number = next(i for i, row in enumerate(rows.ROWS) if row.name == "tinynet, batch 1")
    for side in ("minicnn", "torch", "channels_last"):
        found = Side(side)
        found.ready(number, str(tmp_path), export=side == "torch")
        assert found.turn(0.001)["seconds"] > 0
    errors = differences(str(tmp_path), ["minicnn", "torch", "channels_last"])
    assert max(errors.values()) < rows.ROWS[number].tolerance
    net = minicnn.onnx.load(tmp_path / peers.NET)
    with minicnn.no_grad():
        y = net(minicnn.from_numpy(np.load(tmp_path / peers.IMAGE))).numpy()
    assert np.sqrt(np.mean((sample(y) - np.load(tmp_path / "minicnn.npy")) ** 2)) < 1e-4
