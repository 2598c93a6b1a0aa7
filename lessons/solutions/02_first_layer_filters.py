# %% [markdown]
# # Solutions to lesson 2. The filters of the first layer
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# 3 takes the filters away, the colon leaves the colours, 2 takes the rows away, and the columns stay.
answer = (3, 7)

# %%
# A group has 8 / 2 = 4 input channels; the number of filters stays 6.
answer = (6, 4, 5, 5)

# %%
# The sum of w * (-2 w) is -2 times the sum of w * w. A convolution is linear: the ReLU behind it is not.
answer = -2
