# %% [markdown]
# # Solutions to lesson 10. Memorising or learning?
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# There was nothing else to learn for them than the list.
answer = {"shuffled", "noise"}

# %%
# 20 of 147 equal shares.
answer = 20 / 147
