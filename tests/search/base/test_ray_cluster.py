"""A real Ray cluster of two nodes on loopback. Skipped without Ray."""

import os
import socket
import warnings
from dataclasses import replace

import numpy as np
import pytest

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # Ray's own

from search.base.errors import InputError  # noqa: E402
from search.base.workers import cluster, opened  # noqa: E402
from search.base.workers import local as hired  # noqa: E402
from search.base.workers.cluster import Cluster  # noqa: E402
from search.inputs.compose import composed  # noqa: E402
from search.optimizer import run as module  # noqa: E402
from search.optimizer import stream as streaming  # noqa: E402
from search.optimizer.full.found import full_search  # noqa: E402


@pytest.fixture(scope="module")
def address(repo):
    """Of a cluster whose two nodes have a core each. 127.0.0.1 would be taken for the machine's own address."""
    from ray.cluster_utils import Cluster as Nodes

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(repo), before]))
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    small = {"num_cpus": 1, "object_store_memory": 80 << 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = Nodes(
            initialize_head=True, head_node_args={**small, "node_ip_address": "127.0.0.2", "include_dashboard": False}
        )
        nodes.add_node(**small, node_ip_address="127.0.0.3")
    yield nodes.address
    nodes.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


# A task is sent by its name, and tests are not on the nodes: what is built in is.
WHERE = "__import__('ray').util.get_node_ip_address()"


def test_the_same_on_two_nodes(address, monkeypatch):
    with opened("ray", None, address) as workers:
        assert workers.count == 2
        words = [f"({i}, {WHERE}, __import__('time').sleep(0.3))" for i in range(20)]  # long enough for both
        found = list(workers.map(eval, words, 20, ""))
    assert [piece for piece, *_ in found] == list(range(20))
    assert {node for _, node, _ in found} == {"127.0.0.2", "127.0.0.3"}
    monkeypatch.setattr(hired, "WORTH", 0)
    monkeypatch.setattr(module, "HELD", 0)
    monkeypatch.setattr(streaming, "PIECE", 500)
    config = composed(["+experiment=qwen3_235b", "strategy=exact", "sensitivity.draws=8"])
    here = module.run(config)
    there = module.run(replace(config, compute=replace(config.compute, kind="ray", address=address)))
    assert (here.workers, there.workers) == (("local", 1), ("ray", 2))
    assert np.array_equal(here.scores.ttft_s, there.scores.ttft_s)
    assert np.array_equal(here.front, there.front)
    assert (here.tally, here.sensitivity, here.choice) == (there.tally, there.sensitivity, there.choice)
    assert not ray.is_initialized()


def test_everything_on_two_nodes(address):
    words = ["space.gpus=[8,16]", "space.batch='1:60:1'", "space.engines=vllm", "space.max_batched_tokens=8192"]
    words += [f"space.{axis}=[1,2,4,8]" for axis in ("dp", "pp", "sp", "tp", "ep")]
    config = composed(["+experiment=qwen3_235b", "space=full", "space.weights=[given,nvfp4]", *words])
    here = full_search(config)
    with opened("ray", None, address) as workers:
        there = full_search(config, workers)
    assert [one.count for one in here.searched] == [one.count for one in there.searched]
    assert np.array_equal(here.which, there.which)
    assert np.array_equal(here.scores.tpot_s, there.scores.tpot_s)
    assert np.array_equal(here.plans.batch, there.plans.batch)


def test_a_worker_of_another_version_and_one_that_fails_are_one_line(address, monkeypatch):
    with opened("ray", None, address) as workers:
        with pytest.raises(InputError, match="division by zero"):
            list(workers.map(eval, ["1 / 0"], 1, ""))
        monkeypatch.setattr(cluster, "code_version", lambda: "servefront 0.0.0")
        with pytest.raises(
            InputError, match=r"runs servefront .*; this is servefront 0.0.0; install the same"
        ) as error:
            list(workers.map(eval, [WHERE], 1, ""))
    assert "\n" not in str(error.value)


def test_what_is_no_ray_is_one_line():
    with socket.socket() as deaf, pytest.MonkeyPatch.context() as patched:
        patched.setattr(cluster, "ANSWER_S", 0.3)
        deaf.bind(("127.0.0.4", 0))
        deaf.listen()
        with pytest.raises(InputError, match="no Ray cluster answers at"):
            Cluster(None, f"127.0.0.4:{deaf.getsockname()[1]}")
