// An EventSource server of faye-websocket. It prints its port, and then what
// each client asked for.
const http = require('http');
const EventSource = require('faye-websocket').EventSource;

const server = http.createServer((request, response) => {
  if (!EventSource.isEventSource(request)) {
    response.statusCode = 406;
    return response.end();
  }
  const es = new EventSource(request, response, { ping: 0.05, retry: 0.02, headers: { 'X-Peer': 'faye' } });
  console.log(JSON.stringify({ url: es.url, lastEventId: es.lastEventId }));
  es.on('close', () => console.log(JSON.stringify({ closed: true })));
  if (es.lastEventId === '') {
    es.send('plain');
    es.send('two\nlines\r\nor\rfour', { event: 'add', id: '7' });
    es.send('grüße 😀', { id: 'ü8' });
    setTimeout(() => es.close(), 200); // pings come meanwhile
  } else {
    es.send('again', { event: 'back' });
  }
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
