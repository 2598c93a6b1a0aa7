# %% [markdown]
# # Solutions to lesson 4. Feature maps, through a hook
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# A clone is the result of an operation, and has a node that points to the others. Only detach cuts it off.
answer = {"output", "output.clone()"}

# %%
# 16 pixels are 8 cells of the convolution's map, and those are 4 of the pooling's.
answer = 4
