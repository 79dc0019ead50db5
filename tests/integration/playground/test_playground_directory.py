"""Channels, people, groups, reactions: looking things up, page by page."""

import pytest


async def test_lists_come_in_pages_that_add_up(client):
    names, cursor = [], None
    while True:
        answer = await client.conversations_list(limit=2, cursor=cursor)
        names += [one["name"] for one in answer["channels"]]
        cursor = answer["response_metadata"]["next_cursor"]
        if not cursor:
            break

    assert ["data", "ops", "random"] == sorted(names)


async def test_the_sdk_walks_pages_by_itself(client):
    people = [one["id"] async for page in await client.users_list(limit=3) for one in page["members"]]

    assert 7 == len(set(people))


async def test_the_history_comes_newest_first_and_in_pages(client, people):
    stamps = [await people.say(f"message {number}") for number in range(5)]

    first = await client.conversations_history(channel="C0DATA", limit=3)
    second = await client.conversations_history(
        channel="C0DATA", limit=3, cursor=first["response_metadata"]["next_cursor"]
    )

    assert stamps[::-1] == [one["ts"] for page in (first, second) for one in page["messages"]]
    assert (True, False) == (first["has_more"], second["has_more"])


async def test_the_history_can_be_asked_for_a_span(client, people):
    stamps = [await people.say(f"message {number}") for number in range(4)]

    async def between(**span):
        answer = await client.conversations_history(channel="C0DATA", **span)
        return [one["ts"] for one in answer["messages"]][::-1]

    assert stamps[2:] == await between(oldest=stamps[1])
    assert stamps[1:3] == await between(oldest=stamps[1], latest=stamps[2], inclusive=True)


async def test_a_bad_cursor_or_limit_is_refused(client, refused):
    await refused("invalid_cursor", client.conversations_list(cursor="nonsense"))
    await refused("invalid_limit", client.conversations_list(limit=0))
    await refused("invalid_limit", client.conversations_history(channel="C0OPS", limit=1001))
    await refused("invalid_types", client.conversations_list(types="secret"))


async def test_history_needs_membership(client, people, refused):
    await people.do("members", user="banksman", channel="ops", leave=True)

    await refused("not_in_channel", client.conversations_history(channel="C0OPS"))
    await client.conversations_join(channel="C0OPS")
    assert (await client.conversations_history(channel="C0OPS"))["ok"] is True


async def test_a_thread_is_found_from_its_root_or_a_reply(client, people, refused):
    root = await people.say("root")
    reply = await people.say("reply", thread_ts=root)

    for ts in (root, reply):
        thread = await client.conversations_replies(channel="C0DATA", ts=ts)
        assert [root, reply] == [one["ts"] for one in thread["messages"]]
    await refused("thread_not_found", client.conversations_replies(channel="C0DATA", ts="1.2"))


async def test_a_direct_message_is_opened_once(client, refused):
    opened = await client.conversations_open(users="U0MEMBER")
    again = await client.conversations_open(users=["U0MEMBER"], return_im=True)

    assert opened["channel"]["id"] == again["channel"]["id"]
    assert again["already_open"] is True
    assert "U0MEMBER" == again["channel"]["user"]
    await refused("users_list_not_supplied", client.conversations_open(users=""))
    await refused("user_not_found", client.conversations_open(users="U1"))
    await refused("channel_not_found", client.conversations_open(channel="D1"))


async def test_members_and_memberships_agree(client):
    members = (await client.conversations_members(channel="C0OPS"))["members"]
    mine = (await client.users_conversations(user="U0GUEST"))["channels"]

    assert {"U0BANKSMAN", "U0GUEST"} <= set(members)
    assert {"C0OPS", "C0DATA", "C0RANDOM"} == {one["id"] for one in mine}


async def test_people_are_described_as_slack_does(client, refused):
    guest = (await client.users_info(user="U0GUEST"))["user"]
    bot = (await client.users_info(user="U0BANKSMAN"))["user"]

    assert (True, False, "guest@example.com") == (guest["is_restricted"], guest["is_bot"], guest["profile"]["email"])
    assert (True, "B0BANKSMAN") == (bot["is_bot"], bot["profile"]["bot_id"])
    await refused("user_not_found", client.users_info(user="U1"))


async def test_groups_come_from_the_seed(start, client_of, refused):
    from bot.playground import DEMO_TEAM

    group = {"id": "S0APPROVERS", "handle": "approvers", "name": "Approvers", "users": ["U0APPROVER"]}
    client = client_of(await start(seed={**DEMO_TEAM, "usergroups": [group]}))

    assert ["approvers"] == [one["handle"] for one in (await client.usergroups_list())["usergroups"]]
    assert ["U0APPROVER"] == (await client.usergroups_users_list(usergroup="S0APPROVERS"))["users"]
    await refused("no_such_subteam", client.usergroups_users_list(usergroup="S1"))


async def test_the_demo_team_has_no_groups(client):
    assert [] == (await client.usergroups_list())["usergroups"]


async def test_reactions_are_added_once_and_taken_back(client, people, refused):
    ts = await people.say("hello")
    spot = {"channel": "C0DATA", "timestamp": ts}

    await client.reactions_add(**spot, name="eyes")
    await refused("already_reacted", client.reactions_add(**spot, name="eyes"))
    assert [{"name": "eyes", "users": ["U0BANKSMAN"], "count": 1}] == (await people.message(ts))["reactions"]
    assert "eyes" == (await client.reactions_get(**spot))["message"]["reactions"][0]["name"]
    await client.reactions_remove(**spot, name="eyes")
    await refused("no_reaction", client.reactions_remove(**spot, name="eyes"))
    assert [] == (await people.message(ts))["reactions"]


async def test_reactions_that_cannot_be_are_refused(client, people, refused):
    ts = await people.say("hello")

    await refused("invalid_name", client.reactions_add(channel="C0DATA", timestamp=ts, name="not_an_emoji"))
    await refused("message_not_found", client.reactions_add(channel="C0DATA", timestamp="1.2", name="x"))
    await refused("no_item_specified", client.reactions_add(channel="C0DATA", timestamp="", name="x"))


async def test_one_person_adds_at_most_23_reactions(client, people, refused):
    from bot.playground.emoji import KNOWN

    ts = await people.say("hello")
    names = sorted(KNOWN)[:24]
    for name in names[:23]:
        await client.reactions_add(channel="C0DATA", timestamp=ts, name=name)

    await refused("too_many_reactions", client.reactions_add(channel="C0DATA", timestamp=ts, name=names[23]))


@pytest.mark.parametrize("broken", [{"users": []}, {"team": {}}, {"channels": [{"id": "C1", "name": "a"}] * 2}])
async def test_a_seed_that_makes_no_team_is_refused_with_the_reason(start, broken):
    from bot.playground import DEMO_TEAM
    from bot.playground.seed import SeedError

    seed = {**DEMO_TEAM, **broken}
    if broken == {"users": []}:
        seed["users"] = [{"name": "nobody"}]
    with pytest.raises(SeedError):
        await start(seed=seed)
