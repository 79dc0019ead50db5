"""People read along while a model writes, and nothing of it holds a turn up."""

import asyncio

from core.ids import TENANT
from tests.integration.queue.conftest import eventually
from tests.integration.queue.test_deltas import PROSE, SECRET, ListenTo, SpeakerOf, text_of
from tests.integration.queue.test_deltas import listen_to as listen_to
from tests.integration.queue.test_deltas import speaker_of as speaker_of
from tests.integration.worker.conftest import Rig
from tests.integration.worker.test_thinking import at
from tests.vendors import Say, openai_server


async def test_what_a_model_writes_is_heard_while_it_writes_and_without_secrets(
    rig: Rig, redis_url: str, listen_to: ListenTo, speaker_of: SpeakerOf
) -> None:
    heard = await listen_to(redis_url)
    rig.speaker = speaker_of(redis_url)
    await rig.start()
    say = Say(f"{PROSE}The key is {SECRET}, so be careful. {PROSE * 2}", holds=asyncio.Event())
    async with openai_server(say) as vendor:
        run_id = await rig.ask_agent("Look.", models=[at(vendor.url)])
        driving = asyncio.create_task(rig.drive(run_id))
        await eventually(lambda: "be careful" in text_of(heard))
        assert not driving.done()
        assert say.holds is not None
        say.holds.set()
        view = await driving

    assert "completed" == view.state, view
    text = text_of(heard)
    assert say.text.replace(SECRET, "[redacted:TOKEN]").startswith(text)
    assert {(TENANT, run_id, 1)} == {(delta.tenant, delta.run_id, delta.turn) for delta in heard}


async def test_a_model_is_asked_while_nobody_can_be_told(rig: Rig, speaker_of: SpeakerOf) -> None:
    rig.speaker = speaker_of("unix:///nowhere/redis.sock")
    await rig.start()
    async with openai_server(Say(PROSE)) as vendor:
        view = await rig.drive(await rig.ask_agent("Look.", models=[at(vendor.url)]))

    assert "completed" == view.state, view
