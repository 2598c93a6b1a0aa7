# %% [markdown]
# # Solutions to lesson 11. How filters grow
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# The cosine of 45 degrees: the filter has turned by half of a right angle.
answer = 1 / np.sqrt(2)


# %%
def half_way(accuracy, step):
    """accuracy, step: arrays of one length -> the first step at which the accuracy is at least half of the last one"""
    return step[np.argmax(accuracy >= accuracy[-1] / 2)]
