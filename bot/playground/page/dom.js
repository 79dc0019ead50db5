// A small virtual DOM: describes what the page should show and changes only what differs.
//
// Owns elements, their listeners and their order. Knows nothing of messages or Slack. Text always becomes a text node:
// there is no way in here to write markup, which is what keeps hostile messages harmless. Because elements are changed
// in place, a focused input or an open menu survives a new version of the message around it.

const SVG = "http://www.w3.org/2000/svg";
const LIVE = new Set(["value", "checked", "disabled", "indeterminate", "inert"]);

/** Describe an element. Children may be strings, numbers, descriptions, arrays of those, or nothing (null, false). */
export function h(tag, props, ...children) {
  const given = props ?? {};
  return { tag, props: given, key: given.key, kids: flatten(children, []), el: null };
}

function flatten(list, out) {
  for (const item of list) {
    if (item === null || item === undefined || item === false || item === true) continue;
    if (Array.isArray(item)) flatten(item, out);
    else if (typeof item === "object") out.push(item);
    else out.push({ text: String(item), el: null });
  }
  return out;
}

/** Focus an element that is being created, once it stands in the page and before anything else can happen. */
export function focusSoon(find) {
  queueMicrotask(() => find()?.focus());
}

/** Make `root` show exactly these descriptions; calling it again changes only the difference. */
export function mount(root, ...children) {
  const next = flatten(children, []);
  reconcile(root, root.$kids ?? [], next, false);
  root.$kids = next;
}

function create(node, svg) {
  if (node.text !== undefined) {
    node.el = document.createTextNode(node.text);
    return node.el;
  }
  const inSvg = svg || node.tag === "svg";
  const el = inSvg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  node.el = el;
  for (const kid of node.kids) el.append(create(kid, inSvg));
  for (const [name, value] of Object.entries(node.props)) assign(el, name, value, undefined, inSvg);
  if (node.props.created) node.props.created(el);
  return el;
}

function assign(el, name, value, before, svg) {
  if (name === "key" || name === "created" || name === "removed" || name === "updated") return;
  if (name.startsWith("on")) {
    listen(el, name.slice(2), value);
  } else if (LIVE.has(name)) {
    const wanted = value ?? (name === "value" ? "" : false);
    if (el[name] !== wanted) el[name] = wanted;
  } else if (value !== before) {
    if (value === null || value === undefined || value === false) el.removeAttribute(name);
    else if (name === "class" && !svg) el.className = value;
    else el.setAttribute(name, value === true ? "" : value);
  }
}

function listen(el, type, handler) {
  el.$on ??= {};
  if (!(type in el.$on)) el.addEventListener(type, (event) => el.$on[type]?.call(el, event));
  el.$on[type] = handler;
}

function update(old, next, svg) {
  if (old === next) return;
  const el = old.el;
  next.el = el;
  if (next.text !== undefined) {
    if (old.text !== next.text) el.data = next.text;
    return;
  }
  const inSvg = svg || next.tag === "svg";
  for (const name of Object.keys(old.props)) {
    if (!(name in next.props)) assign(el, name, undefined, old.props[name], inSvg);
  }
  reconcile(el, old.kids, next.kids, inSvg);
  for (const [name, value] of Object.entries(next.props)) assign(el, name, value, old.props[name], inSvg);
  if (next.props.updated) next.props.updated(el);
}

const alike = (a, b) => a.tag === b.tag && a.key === b.key && (a.text === undefined) === (b.text === undefined);

function reconcile(parent, before, after, svg) {
  const keyed = new Map();
  const loose = [];
  for (const node of before) {
    if (node.key !== undefined && node.key !== null) keyed.set(node.key, node);
    else loose.push(node);
  }
  const matches = after.map((node) => {
    if (node.key !== undefined && node.key !== null) {
      const found = keyed.get(node.key);
      if (!found || !alike(found, node)) return null;
      keyed.delete(node.key);
      return found;
    }
    const at = loose.findIndex((candidate) => candidate && alike(candidate, node));
    if (at < 0) return null;
    const [found] = loose.splice(at, 1);
    return found;
  });
  // Leftovers go first, so that nothing that stays has to be moved past them (moving an element drops its focus).
  for (const node of [...keyed.values(), ...loose]) discard(node);
  let cursor = parent.firstChild;
  after.forEach((node, index) => {
    const old = matches[index];
    if (old) update(old, node, svg);
    else create(node, svg);
    if (node.el === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node.el, cursor);
  });
}

function discard(node) {
  farewell(node);
  node.el.remove();
}

function farewell(node) {
  if (node.text !== undefined) return;
  for (const kid of node.kids) farewell(kid);
  if (node.props.removed) node.props.removed(node.el);
}

/** Remember descriptions by name: while `inputs` stay the same, the same description comes back and costs nothing. */
export class Memo {
  #kept = new Map();

  get(name, inputs, make) {
    const kept = this.#kept.get(name);
    if (kept && kept.inputs.length === inputs.length && kept.inputs.every((value, i) => value === inputs[i])) {
      return kept.made;
    }
    const made = make();
    this.#kept.set(name, { inputs, made });
    return made;
  }

  clear() {
    this.#kept.clear();
  }
}
