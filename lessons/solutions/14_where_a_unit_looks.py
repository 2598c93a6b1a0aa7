# %% [markdown]
# # Solutions to lesson 14. Where a unit looks
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# 1 + 4 = 5, then 5 + 1 = 6 and the stride becomes 2, then 6 + 2 * 2 = 10.
answer = (10, 2)

# %%
# -1 for the first padding; the second one is a cell of the first map, that is 2 pixels: -1 - 2.
answer = -3
