// The inventory, kept equal to the agent's: read once, then again on every event of `/v1/events`.

const EVENTS = [
  'nic.added', 'nic.removed', 'nic.changed', 'gpu.added', 'gpu.removed', 'gpu.changed', 'node.changed',
  'warning.raised', 'warning.cleared', 'attachment.attached', 'attachment.detached', 'attachment.failed',
  'attachment.lost', 'attachment.mtu', 'addresses.full', 'sriov.changed', 'pool.changed', 'pool.registered',
  'pool.refused', 'reset',
];

/** Least time between two reads, ms: a burst of events costs one read, not hundreds. */
const BREATH = 100;
/** First and longest wait before the next attempt, ms. */
const RETRY = [500, 10000];

/**
 * Follows the agent. `inventory(document)` is called with each new inventory, `event(event)` with each
 * event, and `state('connecting' | 'live' | 'lost')` when that changes.
 */
export function follow({ inventory, event, state }) {
  let etag = null;
  let reading = false;
  let timer = null;
  let lastRead = 0;
  let wait = RETRY[0];
  let streaming = false;
  let readable = false;

  const tell = () => state(streaming && readable ? 'live' : 'lost');
  const longer = () => { const now = wait; wait = Math.min(wait * 2, RETRY[1]); return now; };

  function soon(delay) {
    if (timer === null) timer = setTimeout(() => { timer = null; read(); }, delay);
  }

  async function read() {
    if (reading) return soon(BREATH);
    reading = true;
    try {
      // `no-store`: the comparison by ETag is ours, so that "nothing new" costs no parsing.
      const answer = await fetch('v1/inventory', {
        cache: 'no-store',
        headers: etag === null ? {} : { 'If-None-Match': etag },
      });
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
        const document = await answer.json();
        etag = answer.headers.get('ETag');
        inventory(document);
      }
      readable = true;
      wait = RETRY[0];
    } catch (error) {
      readable = false;
      soon(longer());
      if (!(error instanceof TypeError)) console.warn('the inventory cannot be read:', error.message);
    } finally {
      reading = false;
      lastRead = performance.now();
    }
    tell();
  }

  const changed = () => soon(Math.max(0, lastRead + BREATH - performance.now()));

  function listen() {
    const stream = new EventSource('v1/events');
    stream.addEventListener('open', () => {
      streaming = true;
      // Whatever happened while nobody listened is in the next read.
      changed();
    });
    stream.addEventListener('error', () => {
      streaming = false;
      tell();
      // The browser tries again by itself after a broken connection, but not after a refusal (503: too many readers).
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, longer());
    });
    for (const type of EVENTS) {
      stream.addEventListener(type, (message) => {
        if (type === 'reset') etag = null;
        changed();
        event(JSON.parse(message.data));
      });
    }
    // A page that is left must not leave its stream to a time-out of the agent.
    addEventListener('pagehide', () => stream.close(), { once: true });
    addEventListener('pageshow', (shown) => { if (shown.persisted) listen(); }, { once: true });
  }

  state('connecting');
  read();
  listen();
}
