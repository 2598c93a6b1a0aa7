# %% [markdown]
# # Solutions to lesson 12. The ladder: from noise to a picture
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# Across: 1 and 3. Down: 0 and 2.
answer = 6

# %%
# 0.2 / 0.05
answer = 4
