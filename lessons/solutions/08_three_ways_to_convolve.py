# %% [markdown]
# # Solutions to lesson 8. Three ways to convolve
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# 16 channels times 9 places; 10 x 10 output pixels.
answer = (144, 100)

# %%
# 64 products for 36 outputs, in place of 9 for each.
answer = 64 / 36
