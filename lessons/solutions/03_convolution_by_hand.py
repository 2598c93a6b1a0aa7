# %% [markdown]
# # Solutions to lesson 3. Convolution by hand
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# The patch is [0, 1, 2], [1, 2, 3], [2, 3, 3]. Right column minus left one: (2 - 0) + 2 (3 - 1) + (3 - 2).
answer = 7


# %%
def max_pool_gradient(window, grad):
    """window (H, W), grad: the number that arrives -> the gradient of the window, (H, W)"""
    gradient = np.zeros_like(window)
    gradient.flat[window.argmax()] = grad  # argmax finds the first of equal ones, in reading order
    return gradient


# %%
# Nine weights meet nine pixels. Two gaps of one pixel lie between the three columns: 3 + 2 = 5.
answer = (9, 5)
