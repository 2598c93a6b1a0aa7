# %% [markdown]
# # Solutions to lesson 19. What a layer sees
#
# Each cell stands in the place of a gap: `answer = ...`, or the function that returns `...`.


# %%
def cosine_of(a, b):
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


# %%
# Eight equal shares: the entropy is log 8.
answer = 8

# %%
# Where the answer is below 0 the ReLU hands no gradient back.
answer = 0
