# %% [markdown]
# # Solutions to lesson 17. An atlas
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# 9 / (9 + 16)
answer = 0.36

# %%
# Weights are the same for all images. But a strong weight from a unit that is never active says nothing.
answer = "wiring"
