# %% [markdown]
# # Solutions to lesson 1. A network, from the outside
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# (30 + 2 * 1 - 5) // 2 + 1 = 27 // 2 + 1
answer = 14

# %%
# 16 filters with 3 * 5 * 5 = 75 weights and one bias each.
answer = 16 * (3 * 5 * 5 + 1)

# %%
# exp(a + 10) = exp(a) exp(10), above and below the fraction line: nothing changes. Only differences of logits count.
answer = 0
