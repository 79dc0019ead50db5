// What a person has chosen or typed in the interactive elements of a surface, in the shape of Slack's `state.values`.
//
// A surface is one message, view or home, for one persona. Its elements start with what the app set (`initial_*`) and
// a person's changes lie on top, so a new version of the message keeps what was typed as long as block_id and action_id
// stay, as in Slack.

import { touch, ui } from "./ui.js";

const changes = new Map(); // surface -> Map("block\naction" -> value)
const spot = (blockId, actionId) => `${blockId}\n${actionId}`;

export const messageSurface = (one, where = "") => `m:${ui.persona}:${one.channel}:${one.ts}:${where}`;
export const viewSurface = (view) => `v:${ui.persona}:${view.id}`;
export const homeSurface = () => `h:${ui.persona}`;

const INITIAL = {
  plain_text_input: (e) => ({ value: e.initial_value ?? null }),
  email_text_input: (e) => ({ value: e.initial_value ?? null }),
  url_text_input: (e) => ({ value: e.initial_value ?? null }),
  number_input: (e) => ({ value: e.initial_value ?? null }),
  rich_text_input: (e) => ({ rich_text_value: e.initial_value ?? null }),
  static_select: (e) => ({ selected_option: e.initial_option ?? null }),
  external_select: (e) => ({ selected_option: e.initial_option ?? null }),
  radio_buttons: (e) => ({ selected_option: e.initial_option ?? null }),
  multi_static_select: (e) => ({ selected_options: e.initial_options ?? [] }),
  multi_external_select: (e) => ({ selected_options: e.initial_options ?? [] }),
  checkboxes: (e) => ({ selected_options: e.initial_options ?? [] }),
  users_select: (e) => ({ selected_user: e.initial_user ?? null }),
  multi_users_select: (e) => ({ selected_users: e.initial_users ?? [] }),
  channels_select: (e) => ({ selected_channel: e.initial_channel ?? null }),
  multi_channels_select: (e) => ({ selected_channels: e.initial_channels ?? [] }),
  conversations_select: (e) => ({ selected_conversation: e.initial_conversation ?? null }),
  multi_conversations_select: (e) => ({ selected_conversations: e.initial_conversations ?? [] }),
  datepicker: (e) => ({ selected_date: e.initial_date ?? null }),
  timepicker: (e) => ({ selected_time: e.initial_time ?? null }),
  datetimepicker: (e) => ({ selected_date_time: e.initial_date_time ?? null }),
  file_input: () => ({ files: [] }),
};

/** Whether an element has a value at all; buttons and overflow menus do not. */
export const hasValue = (element) => element?.type in INITIAL;

/** The value of one element now, as Slack would report it (`{type, value}` and its siblings). */
export function fieldValue(surface, blockId, element) {
  const changed = changes.get(surface)?.get(spot(blockId, element.action_id));
  return { type: element.type, ...(changed ?? INITIAL[element.type](element)) };
}

/** Write a change down. A quiet change draws nothing: the input already shows what was typed. */
export function setField(surface, blockId, element, value, { quiet = false } = {}) {
  if (!changes.has(surface)) changes.set(surface, new Map());
  changes.get(surface).set(spot(blockId, element.action_id), value);
  if (!quiet) touch(surface);
}

/** Forget what was typed, once a view is gone. */
export function forget(surface) {
  changes.delete(surface);
}

/** Whether a person changed anything here, so that closing would lose it. */
export const isTouched = (surface) => (changes.get(surface)?.size ?? 0) > 0;

function* elementsOf(blocks) {
  for (const block of blocks ?? []) {
    for (const element of [block.element, block.accessory, ...(block.elements ?? []), ...(block.actions ?? [])]) {
      if (element && hasValue(element) && element.action_id) yield [block, element];
    }
    if (block.child_blocks) yield* elementsOf(block.child_blocks);
    if (block.type === "carousel") yield* elementsOf(block.elements);
  }
}

/** Everything chosen on a surface: `{block_id: {action_id: {type, ...}}}`. */
export function valuesOf(surface, blocks) {
  const values = {};
  for (const [block, element] of elementsOf(blocks)) {
    values[block.block_id] ??= {};
    values[block.block_id][element.action_id] = fieldValue(surface, block.block_id, element);
  }
  return values;
}

/** Fields a view cannot be sent without, with what is wrong: `{block_id: sentence}`. */
export function problemsOf(surface, blocks) {
  const problems = {};
  for (const [block, element] of elementsOf(blocks)) {
    if (block.type !== "input") continue;
    const { type, ...value } = fieldValue(surface, block.block_id, element);
    const [held] = Object.values(value);
    const empty = held === null || held === undefined || held === "" || (Array.isArray(held) && held.length === 0);
    if (empty) {
      if (!block.optional) problems[block.block_id] = "Please fill this in.";
      continue;
    }
    const wrong = malformed(element, type, held);
    if (wrong) problems[block.block_id] = wrong;
  }
  return problems;
}

function malformed(element, type, held) {
  if (type === "email_text_input" && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(held))
    return "This does not look like an e-mail address.";
  if (type === "url_text_input" && !/^https?:\/\/\S+$/.test(held))
    return "Please give a full address, beginning with https://.";
  if (type === "number_input") {
    const number = Number(held);
    if (!Number.isFinite(number)) return "Please give a number.";
    if (!element.is_decimal_allowed && !Number.isInteger(number)) return "Please give a whole number.";
    if (element.min_value !== undefined && number < Number(element.min_value))
      return `The smallest allowed is ${element.min_value}.`;
    if (element.max_value !== undefined && number > Number(element.max_value))
      return `The largest allowed is ${element.max_value}.`;
  }
  if (type === "plain_text_input") {
    if (element.min_length && held.length < element.min_length)
      return `Please write at least ${element.min_length} characters.`;
    if (element.max_length && held.length > element.max_length)
      return `Please keep to ${element.max_length} characters (now ${held.length}).`;
  }
  return null;
}
