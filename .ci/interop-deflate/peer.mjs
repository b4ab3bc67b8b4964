// Echoes as a server or as a client, with ws or faye-websocket. Each line of the
// input is a job: {"role", "library", "url", "options"}. A server answers with the
// port it listens on, a client with a line once it is connected or has failed.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { WebSocket, WebSocketServer } from 'ws';
import faye from 'faye-websocket';
import deflate from 'permessage-deflate';

// The options come with the names of RFC 7692; ws has the same.
function wsOptions(o) {
  return { perMessageDeflate: { threshold: 0, ...o }, maxPayload: 1 << 26 };
}

// permessage-deflate speaks of itself and of the other side.
function fayeOptions(o, own, peer) {
  const options = {};
  if (o[own + 'NoContextTakeover']) options.noContextTakeover = true;
  if (o[peer + 'NoContextTakeover']) options.requestNoContextTakeover = true;
  if (o[own + 'MaxWindowBits']) options.maxWindowBits = o[own + 'MaxWindowBits'];
  if (o[peer + 'MaxWindowBits']) options.requestMaxWindowBits = o[peer + 'MaxWindowBits'];
  return { extensions: [deflate.configure(options)] };
}

const upgrade = {
  ws(o) {
    const server = new WebSocketServer({ noServer: true, ...wsOptions(o) });
    return (request, socket, head) => server.handleUpgrade(request, socket, head, echoWS);
  },
  faye(o) {
    return (request, socket, head) => echoFaye(new faye(request, socket, head, [], fayeOptions(o, 'server', 'client')));
  },
};

const dial = {
  ws(url, o) {
    return echoWS(new WebSocket(url, wsOptions(o)));
  },
  faye(url, o) {
    return echoFaye(new faye.Client(url, [], fayeOptions(o, 'client', 'server')));
  },
};

function echoWS(socket) {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('error', (error) => console.error(`ws: ${error.message}`));
  return socket;
}

function echoFaye(socket) {
  socket.on('message', (event) => socket.send(event.data));
  socket.on('error', (error) => console.error(`faye: ${error.message}`));
  return socket;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const job = JSON.parse(line);
  if (job.role === 'server') {
    const server = createServer().on('upgrade', upgrade[job.library](job.options));
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));
    return;
  }
  dial[job.library](job.url, job.options);
  console.log('dialled');
}).on('close', () => process.exit(0));
