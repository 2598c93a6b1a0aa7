# %% [markdown]
# # Solutions to lesson 16. One number, taken apart
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# 2 * 10 - 3 and 2 * 4 - 3.
answer = (17, 5)


# %%
def bias_gradient(arrived):
    """arrived (N, O, H, W) -> (O,)"""
    return arrived.sum(axis=(0, 2, 3))


# %%
# Two along each axis. 4 is a multiple of 2, so it is the same for all pixels: no checkerboard.
answer = 4
