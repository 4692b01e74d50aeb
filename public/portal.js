// What moves on the pages of the portal: parts that are live, forms that change something, buttons that copy. Everything else
// is there without it.

// @ts-check

const base = document.documentElement.dataset.base ?? '';
const told = document.getElementById('told');
const liveMs = 3_000;

/** @param {string} text */
function tell(text) {
  if (told !== null) told.textContent = text;
}

// Live parts: the page is asked for again, and what has changed of them takes the place of what was there.

let isAsking = false;
/** Whether somebody signs out: what the live parts hear of it does not overtake the way out. */
let isLeaving = false;

function reload() {
  if (!isLeaving) location.reload();
}

async function refresh() {
  if (isAsking || document.querySelector('[data-live]') === null) return;
  isAsking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' });
    // Whose session has ended may not know of the page any more.
    if (answer.status === 401 || answer.status === 404) {
      reload();
      return;
    }
    noteStale(!answer.ok);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    // Where nothing is live any more this is another page: the door, once a session has ended.
    if (page.querySelector('[data-live]') === null) reload();
    else replaceLive(page);
  } catch {
    noteStale(true);
  } finally {
    isAsking = false;
  }
}

/** @param {boolean} isStale */
function noteStale(isStale) {
  const { classList } = document.documentElement;
  if (classList.contains('stale') === isStale) return;
  classList.toggle('stale', isStale);
  tell(isStale ? 'What is shown may be old: the gateway cannot say more for the moment.' : '');
}

/** What the gateway has said last of each live part: what people do there, such as opening a detail, is no news. */
const lastSaid = new Map([...document.querySelectorAll('[data-live]')].map(({ id, innerHTML }) => [id, innerHTML]));

/** @param {Document} page */
function replaceLive(page) {
  for (const part of document.querySelectorAll('[data-live]')) {
    const next = page.getElementById(part.id);
    if (next === null || next.innerHTML === lastSaid.get(part.id) || isBusy(part)) continue;
    lastSaid.set(part.id, next.innerHTML);
    const open = [...part.querySelectorAll('details[open]')].map(({ id }) => id);
    const scrolled = [...part.querySelectorAll('.scroll')].map(({ scrollLeft: left, scrollTop: top }) => ({
      left,
      top,
    }));
    const focused = document.activeElement === null ? -1 : reachableIn(part).indexOf(document.activeElement);
    part.replaceChildren(...next.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute('open', '');
    for (const [place, scroll] of part.querySelectorAll('.scroll').entries()) scroll.scrollTo(scrolled[place] ?? {});
    const reached = reachableIn(part)[focused];
    if (reached instanceof HTMLElement) reached.focus({ preventScroll: true });
  }
}

/** @param {Element} part */
function reachableIn(part) {
  return [...part.querySelectorAll('a, button, summary, [tabindex]')];
}

/**
 * Who is writing or choosing there is not disturbed, nor what has been sent from there.
 * @param {Element} part
 */
function isBusy(part) {
  const { activeElement } = document;
  const isWriting = activeElement?.matches('input, select, textarea') && part.contains(activeElement);
  const selection = getSelection();
  const isSelecting = selection?.isCollapsed === false && part.contains(selection.anchorNode);
  return isWriting || isSelecting || part.querySelector('[aria-busy="true"]') !== null || isBegun(part.closest('form'));
}

/**
 * What a form compares with stays as it was seen when somebody began to fill it in, until it is refused.
 * @param {HTMLFormElement | null} form
 */
function isBegun(form) {
  if (form === null || form.querySelector('.fault')?.textContent !== '') return false;
  return [...form.elements].some((field) => field instanceof HTMLInputElement && field.value !== field.defaultValue);
}

// A page that nobody looks at asks for nothing, so that a session that is not used comes to its end.

const idleMs = 10 * 60_000;
let lastInputMs = Date.now();

function isLookedAt() {
  return !document.hidden && Date.now() - lastInputMs < idleMs;
}

setInterval(() => {
  if (isLookedAt()) refresh();
}, liveMs);
for (const kind of ['pointermove', 'pointerdown', 'keydown', 'visibilitychange']) {
  document.addEventListener(kind, () => {
    const wasLookedAt = isLookedAt() && kind !== 'visibilitychange';
    lastInputMs = Date.now();
    if (!wasLookedAt && isLookedAt()) refresh();
  });
}

// Forms: what is in them goes to the API as JSON, and what it answers is shown.

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset.path === undefined) return;
  event.preventDefault();
  const { confirm: question } = form.dataset;
  if (question !== undefined && !window.confirm(question)) return;
  send(form);
});

/** @param {HTMLFormElement} form */
async function send(form) {
  // A second press while the first is under way is none.
  if (form.getAttribute('aria-busy') === 'true') return;
  form.setAttribute('aria-busy', 'true');
  isLeaving = form.dataset.then === 'leave';
  showFault(form, '');
  try {
    const answer = await fetch(form.dataset.path ?? '', {
      method: form.dataset.method ?? 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json', ...onceOf(form) },
      body: JSON.stringify(membersOf(form)),
    });
    const text = await answer.text();
    const body = text === '' ? {} : JSON.parse(text);
    isLeaving &&= answer.ok;
    if (answer.ok) await done(form, body);
    else if (answer.status === 401 || answer.headers.get('x-tollgate-error') === 'TG_ROUTE_NOT_FOUND')
      location.reload();
    else showFault(form, body.error ?? `The gateway answered ${answer.status}.`);
  } catch {
    isLeaving = false;
    showFault(form, 'The gateway does not answer. Nothing is known of whether this was done: look, and try again.');
  } finally {
    form.removeAttribute('aria-busy');
  }
}

/**
 * What is sent again after no answer is the same request: it is carried out once.
 * @param {HTMLFormElement} form
 * @returns {Record<string, string>}
 */
function onceOf(form) {
  if (form.dataset.once === undefined) return {};
  const asked = JSON.stringify(membersOf(form));
  if (form.dataset.asked !== asked || form.dataset.once === '') {
    form.dataset.asked = asked;
    form.dataset.once = crypto.getRandomValues(new Uint32Array(4)).join('-');
  }
  return { 'idempotency-key': form.dataset.once };
}

/**
 * Fields that are empty are left out; numbers and boxes are what they are; the button that was pressed is none.
 * @param {HTMLFormElement} form
 */
function membersOf(form) {
  /** @type {Record<string, string | number | boolean>} */
  const members = {};
  for (const field of form.elements) {
    if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement) || field.name === '') continue;
    if (field.disabled || field.closest('[hidden]') !== null) continue;
    if (field.type === 'checkbox') members[field.name] = /** @type {HTMLInputElement} */ (field).checked;
    else if (field.value !== '') members[field.name] = readValue(field);
  }
  return members;
}

/** @param {HTMLInputElement | HTMLSelectElement} field */
function readValue({ value, dataset }) {
  if (dataset.type === 'integer') return Number(value);
  return dataset.type === 'boolean' ? value === 'true' : value;
}

/** @param {HTMLFormElement} form @param {string} text */
function showFault(form, text) {
  const place = form.querySelector('.fault');
  if (place !== null) place.textContent = text;
  else if (text !== '') tell(text);
}

/** @param {HTMLFormElement} form @param {Record<string, unknown>} body */
async function done(form, body) {
  const { then: next = '', told: text = '' } = form.dataset;
  if (form.dataset.once !== undefined) form.dataset.once = '';
  if (next === 'leave') {
    location.assign(`${base}/`);
    return;
  }
  if (next === 'key') showKey(String(body.key ?? ''));
  if (next === 'go') {
    location.assign(`${form.dataset.to}/${encodeURIComponent(String(body.id ?? ''))}`);
    return;
  }
  form.reset();
  for (const choice of form.querySelectorAll('select')) showChosen(choice);
  if (text !== '') tell(text);
  await refresh();
}

/** @param {string} key */
function showKey(key) {
  const place = document.getElementById('new-key');
  if (place === null) return;
  for (const part of place.querySelectorAll('[data-key]')) {
    part.textContent = (part.getAttribute('data-key') ?? '').replace('KEY', key);
  }
  place.hidden = false;
  place.focus();
}

// Buttons that copy what another element says.

document.addEventListener('click', async (event) => {
  const button = event.target instanceof Element ? event.target.closest('[data-copy]') : null;
  if (button === null) return;
  const from = document.getElementById(button.getAttribute('data-copy') ?? '');
  try {
    await navigator.clipboard.writeText(from?.textContent ?? '');
    tell('Copied.');
  } catch {
    // Without TLS there is no clipboard: what is selected can be copied by hand.
    if (from !== null) getSelection()?.selectAllChildren(from);
    tell('Press Ctrl+C or ⌘C to copy.');
  }
});

// One of several parts of a form is asked for, as its choice says.

document.addEventListener('change', (event) => {
  if (event.target instanceof HTMLSelectElement) showChosen(event.target);
});
// Browsers keep what was chosen when a page is loaded again.
for (const choice of document.querySelectorAll('select')) showChosen(choice);

/** @param {HTMLSelectElement} choice */
function showChosen(choice) {
  for (const part of choice.form?.querySelectorAll(`[data-when-${choice.name}]`) ?? []) {
    if (!(part instanceof HTMLFieldSetElement)) continue;
    const wanted = (part.getAttribute(`data-when-${choice.name}`) ?? '').split(' ');
    // What is not asked for is not missing either.
    part.hidden = part.disabled = !wanted.includes(choice.value);
  }
}
