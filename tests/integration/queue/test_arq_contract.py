"""What we rely on in arq 0.28 beyond its documented API; fails first when arq changes."""

import asyncio
import inspect
from importlib.metadata import version
from typing import Any

from arq import constants
from arq.connections import ArqRedis
from arq.jobs import deserialize_job_raw, serialize_job
from arq.worker import Worker, func

from core.queue import QUEUE_NAME, RING_FUNCTION, ArqDoorbell, decode_ring, encode_ring
from core.redis_link import connect
from tests.patience import PATIENCE_S


def test_arq_is_the_version_whose_source_was_read() -> None:
    assert version("arq").startswith("0.28.")


def test_the_names_we_override_and_use_have_the_shape_we_use() -> None:
    assert ["self", "job_id", "score"] == list(inspect.signature(Worker.run_job).parameters)
    assert ["self", "job_id", "result_data"] == list(inspect.signature(Worker.finish_failed_job).parameters)
    assert inspect.iscoroutinefunction(Worker.run_job)
    assert inspect.iscoroutinefunction(Worker.finish_failed_job)
    assert ["arq:job:", "arq:in-progress:"] == [constants.job_key_prefix, constants.in_progress_key_prefix]


async def test_a_worker_made_with_a_pool_has_the_attributes_we_use_and_touches_no_signal(redis_url: str) -> None:
    async def nothing(ctx: dict[Any, Any]) -> None:
        return None

    pool = ArqRedis(connect(redis_url).connection_pool)
    worker = Worker([func(nothing, name="n")], redis_pool=pool, handle_signals=False, max_jobs=3)

    assert pool is worker.pool
    assert ({}, 3) == (worker.tasks, worker.max_jobs)
    assert 310 == worker.in_progress_timeout_s
    await pool.aclose(close_connection_pool=True)


def test_arq_reads_the_record_we_write() -> None:
    record = serialize_job("ring", (), {"run_id": "run_a", "wake": 7}, None, 5, serializer=encode_ring)

    read: tuple[object, ...] = deserialize_job_raw(record, deserializer=decode_ring)

    assert ("ring", [], {"run_id": "run_a", "wake": 7}, None, 5) == read


async def test_a_worker_of_arqs_own_answers_our_ring(redis_url: str) -> None:
    """Our doorbell writes what `enqueue_job` would, though in one round trip."""
    heard: list[tuple[str, int]] = []

    async def ring(ctx: dict[Any, Any], *, run_id: str, wake: int) -> None:
        heard.append((run_id, wake))

    doorbell = ArqDoorbell(redis_url)
    await doorbell.ring("run_a", 7)
    await doorbell.close()
    pool = ArqRedis(connect(redis_url).connection_pool)
    worker = Worker(
        [func(ring, name=RING_FUNCTION)],
        queue_name=QUEUE_NAME,
        redis_pool=pool,
        burst=True,
        handle_signals=False,
        poll_delay=0.01,
        keep_result=0,
        job_serializer=lambda _: b"",
        job_deserializer=decode_ring,
    )
    async with asyncio.timeout(PATIENCE_S):
        await worker.main()
    await pool.aclose(close_connection_pool=True)

    assert [("run_a", 7)] == heard
