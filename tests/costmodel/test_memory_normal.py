import numpy as np
from scipy.special import ndtr

from costmodel.memory.normal import FARTHEST, normal_cdf


def test_it_is_scipys_to_the_last_bit():
    random = np.random.default_rng(0).uniform(-9, 9, 100_000)
    x = np.concatenate([random, [0.0, -0.0, 1.0, np.sqrt(2.0), -np.inf, np.inf]])
    assert np.array_equal(normal_cdf(x), ndtr(np.clip(x, -FARTHEST, FARTHEST)))


def test_shapes_stay():
    assert normal_cdf(0.0).shape == ()
    assert normal_cdf(np.zeros((3, 2))).shape == (3, 2)
    assert np.isnan(normal_cdf(np.array([np.nan])))
