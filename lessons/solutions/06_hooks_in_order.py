# %% [markdown]
# # Solutions to lesson 6. Hooks, in order
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.

# %%
# b goes to the front; a and c keep the order in which they were set.
answer = ["b", "a", "c"]

# %%
# The second hook gets what the first has made of the result. It returns None, and so it changes nothing.
answer = (20, 20)

# %%
# The tensor's hooks see the gradient first, then come the node's pre-hooks; the node adds to .grad, and the last hook sees that.
answer = ["tensor hook", "node pre-hook", "post-accumulate hook"]
