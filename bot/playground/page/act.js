// What a person does, sent to the server as the persona: words, clicks, submissions, reactions.

import { get, post } from "./control.js";
import { valuesOf } from "./forms.js";
import { toast } from "./notices.js";
import { dropWarning, putChannel, store } from "./state.js";
import { ui } from "./ui.js";

/** Run something that may be refused; the refusal becomes a toast. Answers whether it worked. */
async function tried(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message, "error");
    return false;
  }
}

export const say = (body) => post("messages", { user: ui.persona, ...body });

export const command = (channel, name, text) => post("commands", { user: ui.persona, channel, command: name, text });

/** Add a reaction, or take one's own back. */
export const react = (one, name, remove = false) =>
  tried(() =>
    post("reactions", { user: ui.persona, channel: one.channel, ts: one.ts, name, ...(remove ? { remove } : {}) }),
  );

/** Delete one's own message, or dismiss a private one. */
export const removeMessage = (one) =>
  tried(() => post("deletes", { user: ui.persona, channel: one.channel, ts: one.ts }));

/** Run one of the app's message shortcuts. */
export const shortcut = (one, callbackId) =>
  tried(() => post("shortcuts", { user: ui.persona, callback_id: callbackId, channel: one.channel, ts: one.ts }));

/** The native stop button of an agent session. */
export const stopSession = (channel, thread) =>
  tried(() => post("stop", { user: ui.persona, channel, thread_ts: thread }));

/** Open the persona's direct message with the bot; the answer is the channel's id. */
export async function openDirect() {
  const user = ui.persona;
  const { channel } = await post("dm", { user });
  // The event that says so may still be on its way.
  if (!store.channels.has(channel)) putChannel({ id: channel, name: "", is_im: true, user, members: [user] });
  return channel;
}

/** Tell the app that its home was opened. */
export const visitHome = () => tried(() => post("home", { user: ui.persona }));

/** The `ctx.send` of a message's blocks. */
export function messageSender(one, surface) {
  return (block, element, value) => {
    dropWarning(one.channel, one.ts);
    return tried(() =>
      post("actions", {
        user: ui.persona,
        channel: one.channel,
        ts: one.ts,
        block_id: block.block_id,
        action_id: element.action_id,
        value,
        state: valuesOf(surface, one.blocks),
      }),
    );
  };
}

/** The `ctx.send` of a view's or home's blocks. */
export function viewSender(viewId, blocks, surface) {
  return (block, element, value) =>
    tried(() =>
      post("views", {
        user: ui.persona,
        view_id: viewId,
        values: valuesOf(surface, blocks),
        action: { block_id: block.block_id, action_id: element.action_id, value },
      }),
    );
}

export const submitView = (viewId, values) => post("views", { user: ui.persona, view_id: viewId, values });

export const closeView = (viewId, all) =>
  tried(() => post("views", { user: ui.persona, view_id: viewId, close: true, clear: all }));

export const listFaults = () => get("faults");
export const setFault = (fault) => post("faults", fault);
