// The page's end of the engine: in a worker where one can start, else on the page in slices.

const BOOTSTRAP = `
const engine = new Engine((message, transfer) => postMessage(message, transfer ?? []));
onmessage = ({ data }) => (data.type === "close" ? close() : engine.receive(data));
postMessage({ ready: true });
`;
const PATIENCE = 4000; // milliseconds that a worker may take to answer for the first time

function blobUrl(text) {
  return URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
}

function startWorker(source) {
  return new Promise((resolve, reject) => {
    const url = blobUrl(source + BOOTSTRAP);
    const worker = new Worker(url);
    const timer = setTimeout(() => fail(new Error("no answer")), PATIENCE);
    const settle = () => {
      clearTimeout(timer);
      URL.revokeObjectURL(url);
    };
    const fail = (error) => {
      settle();
      worker.terminate();
      reject(error);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      fail(event);
    };
    worker.onmessage = () => {
      settle();
      resolve(worker);
    };
  });
}

/**
 * Start the engine.
 * @param {string} source the engine as one script (ebmlib.widgets.bundle.joined("engine.js"))
 * @param {(message: object) => void} receive
 * @returns {Promise<{where: "worker"|"page", post: Function, close: Function}>}
 */
export async function connect(source, receive) {
  try {
    const worker = await startWorker(source);
    worker.onmessage = ({ data }) => receive(data);
    return { where: "worker", post: (m) => worker.postMessage(m), close: () => worker.terminate() };
  } catch {
    const url = blobUrl(`${source}\nexport { Engine };`);
    const { Engine } = await import(/* webpackIgnore: true */ url);
    URL.revokeObjectURL(url);
    const engine = new Engine(receive, 6);
    return { where: "page", post: (m) => engine.receive(m), close: () => engine.close() };
  }
}
