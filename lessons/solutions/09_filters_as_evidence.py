# %% [markdown]
# # Solutions to lesson 9. Filters as evidence
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.


# %%
def r_squared(kernel, fitted):
    """kernel, fitted: arrays of one shape -> a number, 1 for a perfect fit"""
    return 1 - ((kernel - fitted) ** 2).sum() / (kernel**2).sum()


# %%
# The first cell stands over 3 pixels, and each of the two others adds 2.
answer = 7
