# %% [markdown]
# # Solutions to lesson 20. What breaks it
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# 4 of 6, 3 of 4, and 7 of 10.
answer = [4 / 6, 3 / 4, 7 / 10]


# %%
def off(output, channels):
    changed = output.clone()
    changed[:, channels] = 0
    return changed


# %%
# The square root of 12,288 times 4/255.
answer = (3 * 64 * 64) ** 0.5 * 4 / 255
