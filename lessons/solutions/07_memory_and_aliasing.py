# %% [markdown]
# # Solutions to lesson 7. Memory and aliasing: a laboratory
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# The array is another object that points to the same memory, and knows no graph: that is what detach gives, too.
answer = "detach"

# %%
# 64 * 32 * 32 numbers of 4 bytes.
answer = 64 * 32 * 32 * 4

# %%
# Three hooks, two calls.
answer = 6
