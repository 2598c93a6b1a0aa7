# %% [markdown]
# # Solutions to lesson 21. A network that knows ImageNet
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# 128 / 128
answer = 1.0

# %%
# (byte - 127) / 128 = (byte / 255 - 127 / 255) / (128 / 255)
answer = 128 / 255

# %%
# Above 6 the output stays 6, whatever the input does.
answer = 0
