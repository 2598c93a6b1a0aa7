# %% [markdown]
# # 20. What breaks it
#
# **You need:** lesson 13 (the robust twin), lesson 19 (neighbours).
#
# **You leave with:** the photographs that the network gets wrong and the classes that it mixes up; what a unit is good for, by switching
# it off; a photograph changed against the network, and how the change grows from layer to layer; and a number for how much the
# answers rest on colours, and how much on shapes. All of it for both twins.
#
# **Run time:** under half a minute. **Files written:** `lessons/out/20_what_breaks_it_*.png` (6 figures).

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import viz
from minicnn.models import tinynet, weights_path

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

networks = {"standard": tinynet("standard").eval(), "robust": tinynet("robust").eval()}
model, folder = networks["standard"], viz.sample_folder()
names = list(model.meta.categories)

# %% [markdown]
# ## Mistakes to look at
#
# 19 of the photographs that come with minicnn show one of the network's 200 classes. `viz.answers` sends a folder through the network
# and keeps what it says. For photographs of your own: one folder for each class, called like it, and `labels="folders"`.

# %%
found = {
    name: viz.answers(network, folder, labels=viz.sample_labels(), progress=False) for name, network in networks.items()
}
seen = found["standard"]
known = int((seen.labels >= 0).sum())
for name, result in found.items():
    print(f"{name}: {known - len(result.wrong)} of {known} right")
    assert known - len(result.wrong) >= 7
worst = seen.wrong[0]
print(
    f"the surest mistake: {Path(seen.names[worst]).name} is {names[seen.answered[worst]]!r} with {seen.probabilities[worst].max():.0%}"
)
figure = seen.wrong_figure()
figure.savefig(out / "20_what_breaks_it_wrong.png")
figure

# %% [markdown]
# Look for what the mistake and the class have in common. The cow is black and white on a lawn, as a ball is. The plate is round and
# white, as a cup is from above. The mistakes are not random: they are neighbours in the sense of lesson 19.
#
# ## Which classes are mixed up
#
# 19 photographs are no statistics. What both networks answered to the 10,000 validation photographs, 50 of each class, is recorded in
# `weights/validation.npz` (by `weights/validation_record.py`). A **confusion matrix** counts: a row is the class that is there, a
# column the class that was answered. On the diagonal are the right answers.

# %%
record = np.load(weights_path("validation.npz"))
labels = record["labels"].astype(int)
confusion = viz.confusion(labels, record["standard: as it is"].astype(int), names)
print(f"{confusion.accuracy:.2%} of {len(labels)} right")
assert abs(confusion.accuracy - model.meta.accuracy) < 0.0005, "as the network's own card says"
for mistake in confusion.mistakes(5):
    print(f"    {mistake.true} taken for {mistake.answered}: {mistake.times} of 50")
assert confusion.mistakes(1)[0].times >= 10
order = np.argsort(confusion.by_class)
easy, hard = order[::-1][:5], order[:5]
print("best: " + ", ".join(f"{names[c]} {confusion.by_class[c]:.0%}" for c in easy))
print("worst: " + ", ".join(f"{names[c]} {confusion.by_class[c]:.0%}" for c in hard))
assert confusion.by_class[easy[0]] > 0.8 and confusion.by_class[hard[0]] < 0.15
figure = confusion.figure(title="Classes that the bundled network mixes up most")
figure.savefig(out / "20_what_breaks_it_confusion.png")
figure

# %% [markdown]
# The one number "47 %" hides all this: there are classes that it nearly always knows, and others that it nearly never does. And
# most mistakes are of the kind that you could make in 64 x 64 pixels. Is the matrix symmetric? A network that takes one class for another
# as often as the other way round cannot tell them apart; one that does so in one direction has a favourite.

# %%
i, j = (names.index(name) for name in confusion.mistakes(1)[0][:2])
print(f"{names[i]} for {names[j]}: {confusion.counts[i, j]}; {names[j]} for {names[i]}: {confusion.counts[j, i]}")
assert confusion.counts[i, j] > confusion.counts[j, i] > 0

# %% [markdown]
# ## Without a unit
#
# What is a unit good for? Switch it off, and look what breaks. That is an **ablation**. A forward hook may return another output than
# the layer's: so the channel becomes 0, and no weight is touched.

# %%
layer, channel = "features.11", int(np.argmax(model.classifier.weight.detach().numpy()[names.index("goldfish")]))
x = viz.preprocess(folder / "goldfish.jpg", model)


def switch_off(module, args, output):
    changed = output.clone()
    changed[:, channel] = 0
    return changed


with minicnn.no_grad():
    before = model(x)[0].numpy()
    handle = model.get_submodule(layer).register_forward_hook(switch_off)
    after = model(x)[0].numpy()
    handle.remove()
    with viz.ablated(model, f"{layer}:{channel}"), viz.capture(model, "avgpool") as maps:
        assert np.allclose(model(x)[0].numpy(), after)
    assert np.allclose(model(x)[0].numpy(), before), "as before: the hook is gone"
lost = before[names.index("goldfish")] - after[names.index("goldfish")]
print(f"without {layer}:{channel} the logit of 'goldfish' goes from {before[0]:.2f} to {after[0]:.2f}")
assert lost > 0.1 and before.argmax() == after.argmax() == 0

# %% [markdown]
# Behind this layer there is only an average and a linear layer. So we know beforehand what happens to each logit: it loses the channel's
# mean times its weight. For an earlier layer there is no such shortcut, and one has to try.

# %%
with minicnn.no_grad(), viz.capture(model, "avgpool") as maps:
    model(x)
means = maps["avgpool"].numpy()[0, :, 0, 0]
expected = before - model.classifier.weight.detach().numpy()[:, channel] * means[channel]
print(f"largest difference from the shortcut: {np.abs(expected - after).max():.1e}")
assert np.abs(expected - after).max() < 1e-4

# %% [markdown]
# One channel in 256, and the goldfish remains a goldfish. Knowledge is spread over many units. So we switch off more: two alone, and
# then together the ten that speak most for goldfish. `viz.ablation` does it for all photographs and compares the logits.

# %%
strongest = np.argsort(-model.classifier.weight.detach().numpy()[0])[:10]
units = [f"{layer}:{c}" for c in strongest]
result = viz.ablation(model, [units[0], units[1], units], folder, labels=viz.sample_labels(), progress=False)
print(result.table(k=3))
assert (result.change.argmin(1) == names.index("goldfish")).all()
assert result.accuracy()[0] == 1 and result.accuracy(2)[0] == 0
figure = result.figure()
figure.savefig(out / "20_what_breaks_it_ablation.png")
figure

# %%
without = viz.confusion(labels, record["standard: without goldfish's ten"].astype(int), names)
fall = confusion.by_class - without.by_class
print(
    f"of the 50 goldfish of the validation images: {confusion.by_class[0]:.0%}, without the ten {without.by_class[0]:.0%}"
)
print(f"of all 10,000: {confusion.accuracy:.1%}, without the ten {without.accuracy:.1%}")
lost_most = ", ".join(
    f"{names[c]} {confusion.by_class[c]:.0%} → {without.by_class[c]:.0%}" for c in np.argsort(-fall)[:6]
)
print(f"that lose most: {lost_most}")
print(f"classes that become better: {(fall < 0).sum()}, worse: {(fall > 0).sum()}")
assert fall.argmax() == 0 and without.by_class[0] == 0 and confusion.accuracy - without.accuracy < 0.06
assert (fall < 0).sum() > 20

# %% [markdown]
# Ten channels of 256, and one class breaks, while the network as a whole hardly notices. But they are not "the goldfish units". Other
# classes lose with it, and some gain, because a rival is gone. *What breaks without it* is not the same as *what it stands for*.
#
# ## A photograph changed against the network
#
# Lesson 13 took one step of 4/255 against the network's answer. `viz.adversarial` takes ten smaller ones, and cuts back what exceeds
# 4/255. The result is rounded to whole numbers: it is a photograph that you could save. The control is noise that changes every pixel
# just as much, up or down at random.

# %%
attacks = {name: viz.adversarial(network, folder / "goldfish.jpg") for name, network in networks.items()}
for name, attack in attacks.items():
    said = attack.categories[attack.after.argmax()]
    print(
        f"{name}: goldfish {attack.before[0]:.0%} → {attack.after[0]:.1%}, now {said!r} {attack.after.max():.0%}; "
        f"with noise as strong {attack.control[0]:.0%}"
    )
    assert attack.fooled and attack.control.argmax() == 0
    assert np.abs(attack.picture.astype(int) - attack.photo).max() == 4
figure = viz.draw_adversarial(attacks)
figure.savefig(out / "20_what_breaks_it_adversarial.png")
figure

# %% [markdown]
# Follow the curves. In the first layer the change is small, hardly more than that of the noise. From layer to layer it **grows**, and
# the noise does not: what is random averages out, and what is aimed adds up. In the robust twin such a change grows as well, but far
# less.

# %%
first, last = "features.0", "features.11"
for name, attack in attacks.items():
    a, b = attack.layers[first], attack.layers[last]
    print(
        f"{name}: the change is {a.relative:.1%} of {first} and {b.relative:.1%} of {last}, {b.relative / a.relative:.1f} times as much; "
        f"the noise {a.noise:.1%} and {b.noise:.1%}"
    )
standard, twin = attacks.values()
assert standard.layers[last].relative > 4 * standard.layers[first].relative
assert standard.layers[last].relative > 5 * standard.layers[last].noise
assert standard.layers[last].relative > 2 * twin.layers[last].relative

# %% [markdown]
# And is it always so? All photographs that a network gets right, with changes of 1, 2 and 4 of 255:

# %%
kept = {}
for name, network in networks.items():
    right = [i for i in np.flatnonzero(seen.labels >= 0) if found[name].answered[i] == seen.labels[i]]
    for epsilon in (1, 2, 4):
        fooled = [viz.adversarial(network, seen.names[i], epsilon=epsilon, layers=["classifier"]).fooled for i in right]
        kept[name, epsilon] = len(right) - sum(fooled)
        print(f"{name}, {epsilon} of 255: still right on {kept[name, epsilon]} of {len(right)}")
assert kept["standard", 4] <= 2 and kept["robust", 4] >= kept["standard", 4] + 3

# %% [markdown]
# ## Colour against shape
#
# What do the answers rest on? We take something away. **Grey** has no colours. **Shuffled** patches have colours and textures, but no
# shape that is larger than a patch. With **scrambled phases** the photograph's waves are all there, each as strong as before, and
# each somewhere else: nothing but a texture of the right colours. What is left of the accuracy?

# %%
cues = {
    name: viz.cues(network, folder, labels=viz.sample_labels(), progress=False) for name, network in networks.items()
}
for name, result in cues.items():
    print(f"{name}, 19 photographs\n{result.table()}")
figure = viz.draw_cues(cues, title="What is left without colour, and without shape")
figure.savefig(out / "20_what_breaks_it_cues.png")
figure

# %% [markdown]
# For numbers to rely on we need more photographs. The same function ran over the 10,000 validation images, once for each twin:
# `viz.cues(model, "validation/", labels="folders")`.

# %%
variants = ["as it is", *viz.CHANGES]
by = {
    (twin, variant): viz.confusion(labels, record[f"{twin}: {variant}"].astype(int), names)
    for twin in networks
    for variant in variants
}
print(f"{'':16}  standard   robust   left: standard   robust")
for variant in variants:
    a, b = (by[twin, variant].accuracy for twin in networks)
    left = [by[twin, variant].accuracy / by[twin, "as it is"].accuracy for twin in networks]
    print(f"{variant:16}  {a:8.1%} {b:8.1%}  {left[0]:15.0%} {left[1]:8.0%}")
accuracy = {key: value.accuracy for key, value in by.items()}
for twin in networks:
    assert 0.45 < accuracy[twin, "grey"] / accuracy[twin, "as it is"] < 0.55
    assert accuracy[twin, "shuffled 4 x 4"] < accuracy[twin, "as it is"] / 3
    assert accuracy[twin, "phases scrambled"] > 0.04, "ten times a guess, 0.5 %, without any shape"
    assert accuracy[twin, "shuffled 2 x 2"] > accuracy[twin, "shuffled 4 x 4"] > accuracy[twin, "phases scrambled"]

# %% [markdown]
# Without colours half is gone; in patches of 16 pixels, 4 x 4 of them, more than two thirds. So neither is all that it goes by. But even
# photographs with scrambled phases, in which you recognise nothing, are answered rightly far more often than by guessing (0.5 %).
#
# And the twin? On the 19 photographs it seemed to mind the missing colours less. On 10,000 it does not: both keep half. Nineteen are too
# few for such a claim, and a table of numbers does not say so by itself. What the twin does keep is more of the mere texture.
#
# Which classes live by what?

# %%
whole = by["standard", "as it is"].by_class
well = np.flatnonzero(whole >= 0.5)  # the classes that it knows at all
print(f"{len(well)} classes are known in half of their photographs or more")
figure = Figure(figsize=(11, 3.9), layout="constrained")
changed = ("grey", "shuffled 4 x 4", "phases scrambled")
for ax, variant in zip(figure.subplots(1, 3, sharex=True), changed, strict=True):
    share = by["standard", variant].by_class
    order = well[np.argsort(share[well] / whole[well], kind="stable")]
    shown = [*order[:6], *order[-6:]]
    for caption, some in (("least", order[:6]), ("most", order[-6:])):
        print(
            f"{variant}, {caption} is left of " + ", ".join(f"{names[c]} {whole[c]:.0%} → {share[c]:.0%}" for c in some)
        )
    ax.hlines(range(12), whole[shown], share[shown], color="#bbbbbb")
    ax.plot(whole[shown], range(12), "o", color="white", markeredgecolor="black", label="as it is")
    ax.plot(share[shown], range(12), "o", color="#d55e00", label="changed", clip_on=False)
    ax.axhline(5.5, color="black", linewidth=0.6, linestyle=":")
    ax.set_yticks(range(12), [names[c] for c in shown], fontsize=8)
    ax.set(xlim=(0, 1), xlabel="accuracy of the class", title=variant)
    ax.spines[["top", "right"]].set_visible(False)
figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
figure.suptitle(
    "Six classes of which least is left, and six of which most is left (standard network, 50 images of each class)"
)
figure.savefig(out / "20_what_breaks_it_classes.png", dpi=110)
figure

assert by["standard", "grey"].by_class[[names.index(name) for name in ("goldfish", "ladybug", "monarch")]].max() == 0
assert (by["standard", "grey"].by_class >= whole)[[names.index(name) for name in ("trolleybus", "lighthouse")]].all()
assert by["standard", "phases scrambled"].by_class[names.index("pizza")] > 0.7

# %% [markdown]
# A grey goldfish is no goldfish to this network, in none of 50 photographs; a grey trolleybus or lighthouse is what it was. And a pizza
# needs no shape at all: where anything is does not matter.
#
# None of this says what the network *would* do if it had been trained on grey images. It was trained on photographs, and a part of what
# it loses it loses because these are none.
#
# **Try it:** `viz.cues(model, "my_photos/", {"blue": lambda picture, rng: picture[:, :, [2, 1, 0]]})` asks a question of your own: red and
# blue change places.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/20_what_breaks_it.py`.
#
# **1.** Of 6 photographs of cats 4 are taken for cats and 2 for dogs; of 4 dogs 1 is taken for a cat. What are the accuracies of the
# two classes, and of both together?

# %%
from lessons.exercises import check

answer = ...  # three numbers: cat, dog, together

pets = viz.confusion([0] * 6 + [1] * 4, [0, 0, 0, 0, 1, 1, 0, 1, 1, 1], ["cat", "dog"])
check(
    1,
    answer,
    [*pets.by_class, pets.accuracy],
    "The diagonal divided by the sum of its row; together: the whole diagonal divided by all.",
)

# %% [markdown]
# **2.** Write the hook that switches off the channels of a list, and leaves the output that it is given alone.


# %%
def off(output, channels):
    """output: Tensor (N, C, H, W); channels: a list of indices -> a Tensor without these channels"""
    return ...


maps3 = minicnn.ones(1, 4, 2, 2)
without2 = minicnn.ones(1, 4, 2, 2)
without2[:, [0, 2]] = 0
check(2, off(maps3, [0, 2]), without2, "Make a copy with clone(), set [:, channels] to 0, and return the copy.")

# %% [markdown]
# **3.** A change moves every number of a 64 x 64 colour photograph by exactly 4 of 255. How long is it as a vector (pixels in [0, 1])?
# Compare: one pixel that goes from black to white is a change of length 1.7. Many small steps make a long way.

# %%
answer = ...

step = np.full((3, 64, 64), 4 / 255)
check(3, answer, np.linalg.norm(step), "The square root of the sum of 3 x 64 x 64 equal squares.", tolerance=1e-3)

# %%
print("Next lesson: lessons/21_a_network_that_knows_imagenet.py")
